//! Hardens cargo's own `cdylib` as the Makefile does the installed library: no lazy binding, and
//! no start files, since the library has no constructor to run.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for arg in ["-nostartfiles", "-Wl,-z,now", "-Wl,-z,nodelete", "-Wl,-z,noexecstack"] {
        println!("cargo::rustc-cdylib-link-arg={arg}");
    }
}
