//! The C types, field for field those of `include/libaio.h`.
//!
//! The layout is the kernel's (`include/uapi/linux/aio_abi.h`): each field that the kernel reads as
//! 64 bits is 64 bits here on every architecture, and the two 32-bit halves of one such field
//! follow the byte order. The C header spells the same bytes with pointers and longs;
//! `tests/header.rs` has the C compiler compare every offset and size.

#![allow(non_camel_case_types)]

use core::ffi::{c_long, c_void};

/// What a context handle points at: the kernel's ring, opaque to programs.
#[repr(C)]
pub struct io_context {
    _opaque: [u8; 0],
}

/// A handle on one AIO context: the address at which the kernel mapped its ring (`fs/aio.c`).
pub type io_context_t = *mut io_context;

/// One I/O request: the 64 bytes that the kernel reads at `io_submit`.
#[repr(C)]
pub struct iocb {
    /// Returned in [`io_event::data`]; libaio's callback lives here.
    pub aio_data: u64,
    /// Written by the kernel at `io_submit`; `io_cancel` wants it back unchanged.
    #[cfg(target_endian = "little")]
    pub aio_key: u32,
    /// `RWF_*` flags of `preadv2(2)`.
    pub aio_rw_flags: u32,
    /// Written by the kernel at `io_submit`; `io_cancel` wants it back unchanged.
    #[cfg(target_endian = "big")]
    pub aio_key: u32,
    /// One of [`io_iocb_cmd`].
    pub aio_lio_opcode: i16,
    /// I/O priority (`ioprio_set(2)`), read where `aio_flags` has `IOCB_FLAG_IOPRIO`.
    pub aio_reqprio: i16,
    /// The file descriptor.
    pub aio_fildes: i32,
    /// Address of the buffer, or of the iovec array; the event mask for a poll.
    pub aio_buf: u64,
    /// Bytes in the buffer, or entries in the iovec array.
    pub aio_nbytes: u64,
    /// Position in the file, in bytes.
    pub aio_offset: i64,
    /// Must be zero.
    pub aio_reserved2: u64,
    /// `IOCB_FLAG_*`.
    pub aio_flags: u32,
    /// The eventfd to signal on completion, where `aio_flags` has `IOCB_FLAG_RESFD`.
    pub aio_resfd: u32,
}

/// One completion: the 32 bytes that the kernel writes into the ring.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct io_event {
    /// [`iocb::aio_data`] of the request.
    pub data: u64,
    /// Address of the request's [`iocb`].
    pub obj: u64,
    /// Bytes transferred, the poll mask, or `-errno`.
    pub res: i64,
    /// Second result; zero, since Linux 5.16 always.
    pub res2: i64,
}

const _: () = assert!(size_of::<iocb>() == 64);
const _: () = assert!(size_of::<io_event>() == 32);

/// The operations, as [`iocb::aio_lio_opcode`] names them.
#[repr(C)]
pub enum io_iocb_cmd {
    /// `pread(2)`
    IO_CMD_PREAD = 0,
    /// `pwrite(2)`
    IO_CMD_PWRITE = 1,
    /// `fsync(2)`
    IO_CMD_FSYNC = 2,
    /// `fdatasync(2)`
    IO_CMD_FDSYNC = 3,
    /// `poll(2)`, once
    IO_CMD_POLL = 5,
    /// Known to the ABI, refused by the kernel (EINVAL).
    IO_CMD_NOOP = 6,
    /// `preadv2(2)`
    IO_CMD_PREADV = 7,
    /// `pwritev2(2)`
    IO_CMD_PWRITEV = 8,
}

/// Bit in [`iocb::aio_flags`]: signal `aio_resfd` on completion.
pub const IOCB_FLAG_RESFD: u32 = 1 << 0;

/// What `io_queue_run` calls for each event: the context, the request, `res` and `res2`.
pub type io_callback_t =
    Option<unsafe extern "C" fn(ctx: io_context_t, iocb: *mut iocb, res: c_long, res2: c_long)>;

/// What `io_pgetevents(2)` takes as its last argument.
#[repr(C)]
pub(crate) struct aio_sigset {
    pub(crate) sigmask: *const libc::sigset_t,
    pub(crate) sigsetsize: usize,
}

impl iocb {
    /// A request with every field zero but its operation and descriptor, as `io_prep_*` make it.
    pub(crate) const fn new(opcode: io_iocb_cmd, fd: i32) -> Self {
        iocb {
            aio_data: 0,
            aio_key: 0,
            aio_rw_flags: 0,
            aio_lio_opcode: opcode as i16,
            aio_reqprio: 0,
            aio_fildes: fd,
            aio_buf: 0,
            aio_nbytes: 0,
            aio_offset: 0,
            aio_reserved2: 0,
            aio_flags: 0,
            aio_resfd: 0,
        }
    }
}

impl io_event {
    /// The callback that `io_set_callback` stored in the request.
    pub(crate) fn callback(&self) -> io_callback_t {
        // SAFETY: io_callback_t has the size of a pointer and NULL is its None; a program that
        // runs io_queue_run promises that `data` of its requests is NULL or such a function.
        unsafe {
            core::mem::transmute::<*const c_void, io_callback_t>(
                self.data as usize as *const c_void,
            )
        }
    }
}
