//! Large buffers that are used again. A new large buffer costs a page fault for each page, which takes as long
//! as the copy of the page; and a buffer that was in use a moment ago is still in the processor's cache.

use std::cell::RefCell;

use bytes::Bytes;

/// Smaller buffers are cheap: the allocator keeps their pages.
const MIN_POOLED_BYTES: usize = 32 * 1024;
/// The buffers of a thread's pool have at most this many bytes together.
const MAX_POOL_BYTES: usize = 4 << 20;

thread_local! {
    /// The buffers that nobody uses, the last used one at the end.
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { buffers: Vec::new(), bytes: 0 }) };
}

struct Pool {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

/// An empty buffer with room for `capacity` bytes.
pub(crate) fn take_buffer(capacity: usize) -> Vec<u8> {
    let pooled = POOL.with_borrow_mut(|pool| {
        // A much larger buffer is for those who need it.
        let fits = |buffer: &Vec<u8>| (capacity..=capacity * 2).contains(&buffer.capacity());
        let buffer = pool.buffers.iter().rposition(fits).map(|at| pool.buffers.remove(at))?;
        pool.bytes -= buffer.capacity();
        Some(buffer)
    });
    pooled.unwrap_or_else(|| Vec::with_capacity(capacity))
}

/// Shares the bytes of a buffer. The last owner gives the buffer back.
pub(crate) fn share_buffer(buffer: Vec<u8>) -> Bytes {
    if buffer.capacity() < MIN_POOLED_BYTES {
        return buffer.into();
    }
    Bytes::from_owner(PooledBuffer(buffer))
}

/// Gives a buffer back.
pub(crate) fn return_buffer(mut buffer: Vec<u8>) {
    // While a thread ends it has no pool any more.
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        let bytes = buffer.capacity();
        if bytes >= MIN_POOLED_BYTES && pool.bytes + bytes <= MAX_POOL_BYTES {
            buffer.clear();
            pool.bytes += bytes;
            pool.buffers.push(buffer);
        }
    });
}

struct PooledBuffer(Vec<u8>);

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        return_buffer(std::mem::take(&mut self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_when_its_last_owner_is_gone() {
        let mut buffer = take_buffer(100_000);
        buffer.extend_from_slice(b"abc");
        let address = buffer.as_ptr();
        let shared = share_buffer(buffer);
        let part = shared.slice(1..);
        drop(shared);
        let other = take_buffer(100_000);
        assert_ne!(other.as_ptr(), address, "a part is still in use");
        assert_eq!(&part[..], b"bc");
        drop(part);
        let small = take_buffer(40_000);
        assert_ne!(small.as_ptr(), address, "it is too large");
        let again = take_buffer(100_000);
        assert_eq!((again.as_ptr(), again.len()), (address, 0));
    }

    #[test]
    fn the_pool_keeps_a_bounded_number_of_bytes() {
        for _ in 0..100 {
            return_buffer(Vec::with_capacity(1 << 20));
        }
        let bytes = POOL.with_borrow(|pool| {
            assert_eq!(pool.bytes, pool.buffers.iter().map(Vec::capacity).sum::<usize>());
            pool.bytes
        });
        assert!(bytes > 0 && bytes <= MAX_POOL_BYTES);
    }
}
