//! Which programs io_uring cannot serve: those that take their events from a context by the system
//! call itself, which knows only the kernel's own contexts. MariaDB does: it calls io_setup, io_submit
//! and io_destroy of libaio, and `io_getevents(2)` by number.
//!
//! It shows in what an object, the program or a library of its, imports: `io_setup`, but none of the
//! functions that take events. What others import is no matter: a plugin that takes its own events by
//! `io_getevents` takes none of the server's. So a program of which one part makes the contexts and another
//! takes the events is not served either, though it could be: the kernel engine is the safe side, and a line
//! on stderr says so.
//!
//! A program that reads the ring instead (QEMU) imports no such function either; it can be served where
//! an eventfd wakes it (`pump.rs`): then it, or a library, imports `eventfd`, and it has one when it
//! makes its first context. (MariaDB imports it as well, but makes its own later, for other ends.) One
//! that looks its functions up by name imports nothing, and is served.

use core::ffi::{c_int, c_void};
use core::slice;

use libc::{PT_DYNAMIC, dl_phdr_info};

use super::sys;
use crate::text;

/// What is imported, in bits: by one object, or by all, of which [`BY_SYSTEM_CALL`] is any one's.
type Imports = u32;
const MAKES_CONTEXTS: Imports = 1;
const TAKES_EVENTS: Imports = 2;
const HAS_EVENTFD: Imports = 4;
/// Makes contexts, and takes no events.
const BY_SYSTEM_CALL: Imports = 8;

/// Whether contexts made of io_uring would be of no use to this process.
pub(super) fn take_events_by_system_call() -> bool {
    let mut found: Imports = 0;
    // SAFETY: the function matches, and `found` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(look_at), (&raw mut found).cast()) };
    let reads_rings = || found & HAS_EVENTFD != 0 && has_an_eventfd();
    found & BY_SYSTEM_CALL != 0 && !reads_rings()
}

/// Whether the process has an eventfd among its lower descriptors.
fn has_an_eventfd() -> bool {
    (0..1024).any(sys::is_eventfd)
}

/// Entry of a dynamic section: `Elf64_Dyn` or `Elf32_Dyn`.
#[repr(C)]
struct Dynamic {
    tag: isize,
    value: usize,
}

const DT_NULL: isize = 0;
const DT_PLTRELSZ: isize = 2;
const DT_HASH: isize = 4;
const DT_STRTAB: isize = 5;
const DT_SYMTAB: isize = 6;
const DT_RELA: isize = 7;
const DT_RELASZ: isize = 8;
const DT_REL: isize = 17;
const DT_RELSZ: isize = 18;
const DT_PLTREL: isize = 20;
const DT_JMPREL: isize = 23;
const DT_GNU_HASH: isize = 0x6fff_fef5;
const SHN_UNDEF: u16 = 0;

/// Where `r_info` has the number of the symbol.
const SYMBOL_SHIFT: u32 = if usize::BITS == 64 { 32 } else { 8 };

#[cfg(target_pointer_width = "32")]
use libc::Elf32_Sym as Symbol;
#[cfg(target_pointer_width = "64")]
use libc::Elf64_Sym as Symbol;

unsafe extern "C" fn look_at(info: *mut dl_phdr_info, _: usize, found: *mut c_void) -> c_int {
    // SAFETY: the loader's description of an object that is loaded.
    let info = unsafe { &*info };
    // SAFETY: what `take_events_by_system_call` gave.
    let found = unsafe { &mut *found.cast::<Imports>() };
    // SAFETY: as above.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    if let Some(dynamic) = headers.iter().find(|h| h.p_type == PT_DYNAMIC) {
        // SAFETY: the object's own dynamic section.
        let own = unsafe { look_through(info.dlpi_addr as usize, dynamic.p_vaddr as usize) };
        let by_call = own & (MAKES_CONTEXTS | TAKES_EVENTS) == MAKES_CONTEXTS;
        *found |= own | if by_call { BY_SYSTEM_CALL } else { 0 };
    }
    0
}

/// A table of relocations: where it is, its bytes, the words of each entry (`Elf64_Rel` has two,
/// `Elf64_Rela` three).
#[derive(Default)]
struct Relocations {
    at: usize,
    size: usize,
    words: usize,
}

/// What an object imports.
///
/// # Safety
/// An object is loaded at `base`, with its dynamic section at `dynamic` from there.
unsafe fn look_through(base: usize, dynamic: usize) -> Imports {
    let mut found = 0;
    let (mut strings, mut symbols, mut hash, mut gnu_hash) = (0, 0, 0, 0);
    let mut calls = Relocations::default();
    let mut with_addend = Relocations { words: 3, ..Relocations::default() };
    let mut without = Relocations { words: 2, ..Relocations::default() };
    let mut entry = (base + dynamic) as *const Dynamic;
    // SAFETY: the section ends with DT_NULL.
    while unsafe { (*entry).tag } != DT_NULL {
        // SAFETY: as above.
        let Dynamic { tag, value } = unsafe { entry.read() };
        match tag {
            DT_STRTAB => strings = value,
            DT_SYMTAB => symbols = value,
            DT_HASH => hash = value,
            DT_GNU_HASH => gnu_hash = value,
            DT_JMPREL => calls.at = value,
            DT_PLTRELSZ => calls.size = value,
            DT_PLTREL => calls.words = if value as isize == DT_RELA { 3 } else { 2 },
            DT_RELA => with_addend.at = value,
            DT_RELASZ => with_addend.size = value,
            DT_REL => without.at = value,
            DT_RELSZ => without.size = value,
            _ => (),
        }
        entry = entry.wrapping_add(1);
    }
    // The loader has relocated them, but for objects that it did not load (the vDSO).
    let at = |value: usize| if value < base { base + value } else { value };
    if strings == 0 || symbols == 0 || (hash == 0 && gnu_hash == 0) {
        return found;
    }
    let mut look = |i: usize| {
        // SAFETY: the number of a symbol, all of which have their names in the table of strings.
        let symbol = unsafe { &*(at(symbols) as *const Symbol).add(i) };
        if symbol.st_shndx != SHN_UNDEF {
            return;
        }
        // SAFETY: as above.
        let name =
            unsafe { text::of_c_string((at(strings) + symbol.st_name as usize) as *const u8) };
        let is = |other| text::same(name, other);
        if is(b"io_setup") || is(b"io_queue_init") {
            found |= MAKES_CONTEXTS;
        }
        if is(b"io_getevents") || is(b"io_pgetevents") || is(b"io_queue_run") {
            found |= TAKES_EVENTS;
        }
        if is(b"eventfd") {
            found |= HAS_EVENTFD;
        }
    };
    // The GNU table begins with the first symbol that is defined: imports come before it. The other
    // says how many there are.
    let table = if gnu_hash != 0 { gnu_hash } else { hash };
    // SAFETY: both tables have as many words.
    let count = unsafe { (at(table) as *const u32).add(1).read() };
    (0..count as usize).for_each(&mut look);
    if gnu_hash == 0 {
        return found;
    }
    // But where no symbol is defined binutils writes 1, however many are imported; and imports whose address
    // is taken come among those that are defined. What uses them tells.
    for Relocations { at: table, size, words } in [calls, with_addend, without] {
        if table == 0 {
            continue;
        }
        // (Not divided by a number: that may be 0 as far as the compiler knows.)
        let words = if words == 3 { 3 } else { 2 };
        let entries = size / size_of::<usize>() / words;
        for i in 0..entries {
            // SAFETY: the table has as many entries; the second word of each is its `r_info`.
            let info = unsafe { (at(table) as *const usize).add(i * words + 1).read() };
            look(info >> SYMBOL_SHIFT);
        }
    }
    found
}
