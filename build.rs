//! Hardens cargo's own `cdylib` as the Makefile does the installed library: no lazy binding, and
//! no start files, since the library has nothing that they would call (`.fini_array` is the loader's).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for arg in ["-nostartfiles", "-Wl,-z,now", "-Wl,-z,nodelete", "-Wl,-z,noexecstack"] {
        println!("cargo::rustc-cdylib-link-arg={arg}");
    }
}
