//! Whether the program runs under Valgrind, whose tools learn from the system call alone that
//! `io_getevents` fills the caller's buffers.

/// Valgrind's request `RUNNING_ON_VALGRIND`: how many Valgrinds the program runs under.
///
/// The rotations leave the register as it was and the exchange of a register with itself does
/// nothing, on a processor; Valgrind takes the sequence for a question (`valgrind.h`, the client
/// request mechanism). Elsewhere than on the two architectures it answers no, and `LIBAIO_REAP`
/// says it by hand.
pub(crate) fn runs_here() -> bool {
    const RUNNING_ON_VALGRIND: usize = 0x1001;
    let question: [usize; 6] = [RUNNING_ON_VALGRIND, 0, 0, 0, 0, 0];
    let mut answer: usize = 0;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above: the processor's state stays as it is, but for the flags.
    unsafe {
        core::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            inout("rdx") answer,
            in("rax") question.as_ptr(),
            options(nostack),
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!(
            "ror x12, x12, #3",
            "ror x12, x12, #13",
            "ror x12, x12, #51",
            "ror x12, x12, #61",
            "orr x10, x10, x10",
            inout("x3") answer,
            in("x4") question.as_ptr(),
            options(nostack),
        );
    }
    let _ = question;
    // Read back, so that the compiler does not take it for the 0 above.
    core::hint::black_box(&mut answer);
    answer != 0
}
