//! Text that is put together: names of files, lines of a report. No memory but the caller's is needed.

/// Bytes that are put together behind each other.
pub(crate) struct Text<'a> {
    pub(crate) bytes: &'a mut [u8],
    pub(crate) length: usize,
}

impl Text<'_> {
    /// Adds bytes, as far as there is room.
    #[inline(never)]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
    }

    /// What was put together.
    pub(crate) fn written(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }

    /// Adds a number, decimal or hexadecimal.
    #[inline(never)]
    pub(crate) fn number(&mut self, mut n: u64, hexadecimal: bool) {
        let base = if hexadecimal { 16 } else { 10 };
        let mut digits = [0; 20];
        let mut first = digits.len();
        for place in digits.iter_mut().rev() {
            let digit = (n % base) as u8;
            *place = if digit < 10 { b'0' + digit } else { b'a' - 10 + digit };
            first -= 1;
            n /= base;
            if n == 0 {
                break;
            }
        }
        self.put(digits.get(first..).unwrap_or(&[]));
    }
}

/// The bytes of a C string, without the 0 at its end; no more than the longest that anybody has use for.
///
/// # Safety
/// It is one, and stays as it is for as long as the bytes are used.
#[inline(never)]
pub(crate) unsafe fn of_c_string<'a>(first: *const u8) -> &'a [u8] {
    const MOST: usize = 4096;
    // SAFETY: upheld by the caller.
    let length = (0..MOST).find(|&i| unsafe { first.add(i).read() } == 0);
    // SAFETY: as above.
    unsafe { core::slice::from_raw_parts(first, length.unwrap_or(MOST)) }
}

/// Whether bytes are those. (`==` would be one more function of the C library, and is larger where one side is
/// known.)
#[inline(never)]
pub(crate) fn same(bytes: &[u8], those: &[u8]) -> bool {
    bytes.iter().eq(those)
}
