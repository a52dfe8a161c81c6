//! A global allocator that counts the bytes asked for by each thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: usize) {
    // A thread that ends has no more cell, and nobody asks for it.
    let _ = BYTES.try_with(|cell| cell.set(cell.get() + bytes));
}

// SAFETY: every call goes unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System` with this `layout`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: `block` came from `System` with this `layout`; `size` is the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Bytes that this thread asks for while `work` runs.
pub(crate) fn bytes_taken<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = BYTES.with(Cell::get);
    let value = work();
    (BYTES.with(Cell::get) - before, value)
}

#[test]
fn the_counter_counts() {
    let (bytes, kept) = bytes_taken(|| vec![0u8; 12345]);
    assert!(bytes >= kept.len());
}
