//! Memory of freed nodes, and of blocks of the orders, used again by the thread that freed it.
//!
//! A thread that stores frees, in the collector, about as many nodes and blocks as it makes, of the same few sizes. So it keeps some of that memory: a list
//! for each size, of a bounded sum of bytes. It gives it back to the allocator when it ends, and with [`release`], when the caller asks for
//! memory to be freed.
//!
//! Not where somebody watches the allocator for uses after a free, which this would hide: under Miri, sanitizers and fuzzers, and in models.
//!
//! Lists are their thread's own: nothing here is shared. A block in a list was freed: nobody reaches it, and its first word is the next one's
//! address.

use core::cell::Cell;
use core::ptr;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};

/// Whether memory is used again at all.
const IS_ON: bool = !cfg!(any(miri, fuzzing, crossbeam_sanitize, tierstack_loom, tierstack_shuttle));
/// Sizes are told apart by so many bytes.
const STEP: usize = 8;
/// The largest size that is kept is so many steps.
const SIZES: usize = 48;
/// Bytes that a thread keeps.
const MOST: usize = 32 << 10;

struct Block {
    next: *mut Block,
}

/// What a thread keeps.
struct Kept {
    lists: [Cell<*mut Block>; SIZES],
    bytes: Cell<usize>,
}

thread_local! {
    static KEPT: Kept = const { Kept { lists: [const { Cell::new(ptr::null_mut()) }; SIZES], bytes: Cell::new(0) } };
}

/// What all blocks of a size are aligned to: nodes to sixteen bytes, which divides their size, and blocks of the orders to eight.
const fn align_of_size(size: usize) -> usize {
    if size.is_multiple_of(2 * STEP) { 2 * STEP } else { STEP }
}

/// Which list is for that layout; none where it is not kept.
const fn list_of(layout: Layout) -> Option<usize> {
    let size = layout.size();
    let is_kept = size > 0 && size <= SIZES * STEP && size.is_multiple_of(STEP);
    if IS_ON && is_kept && layout.align() == align_of_size(size) { Some(size / STEP - 1) } else { None }
}

/// Of the blocks of a list.
const fn layout_of(list: usize) -> Layout {
    let size = (list + 1) * STEP;
    // SAFETY: the alignment is a power of two, and the size far from the largest.
    unsafe { Layout::from_size_align_unchecked(size, align_of_size(size)) }
}

impl Kept {
    fn take(&self, list: usize) -> *mut u8 {
        let block = self.lists[list].get();
        // SAFETY: a block in a list is this thread's own, and begins with the next one's address.
        if let Some(next) = unsafe { block.as_ref() }.map(|block| block.next) {
            self.lists[list].set(next);
            self.bytes.set(self.bytes.get() - (list + 1) * STEP);
        }
        block.cast()
    }

    /// Whether it is kept.
    ///
    /// # Safety
    ///
    /// The memory is of that list's size, and the caller's own, which gives it up.
    unsafe fn keep(&self, list: usize, memory: *mut u8) -> bool {
        let bytes = self.bytes.get() + (list + 1) * STEP;
        if bytes > MOST {
            return false;
        }
        // Of a list's size there is room for the address; aligned as that asks for.
        #[expect(clippy::cast_ptr_alignment, reason = "every size is a multiple of eight, and so is every address")]
        let block = memory.cast::<Block>();
        // SAFETY: as the caller vouches.
        unsafe { block.write(Block { next: self.lists[list].get() }) };
        self.lists[list].set(block);
        self.bytes.set(bytes);
        true
    }

    fn release(&self) {
        for list in 0..SIZES {
            loop {
                let memory = self.take(list);
                if memory.is_null() {
                    break;
                }
                // SAFETY: allocated with that layout, as `free` sees to.
                unsafe { dealloc(memory, layout_of(list)) };
            }
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.release();
    }
}

/// Memory for a layout of a size above zero.
#[inline]
pub fn allocate(layout: Layout) -> *mut u8 {
    if let Some(list) = list_of(layout) {
        // Where the thread ends nothing is kept any more.
        let kept = KEPT.try_with(|kept| kept.take(list)).unwrap_or(ptr::null_mut());
        if !kept.is_null() {
            return kept;
        }
    }
    // SAFETY: not of size zero, as the caller sees to.
    let memory = unsafe { alloc(layout) };
    if memory.is_null() {
        handle_alloc_error(layout);
    }
    memory
}

/// Frees memory of that layout, or keeps it for this thread.
///
/// # Safety
///
/// It is of [`allocate`], or of the global allocator, with that layout; and nobody reaches it.
#[inline]
pub unsafe fn free(memory: *mut u8, layout: Layout) {
    if let Some(list) = list_of(layout) {
        // SAFETY: as the caller vouches. Where the thread ends it is not kept.
        if KEPT.try_with(|kept| unsafe { kept.keep(list, memory) }).unwrap_or(false) {
            return;
        }
    }
    // SAFETY: as the caller vouches.
    unsafe { dealloc(memory, layout) };
}

/// As `Box::new`, for what [`drop_boxed`] will mostly free.
pub fn boxed<T>(value: T) -> Box<T> {
    const { assert!(size_of::<T>() > 0) };
    let memory = allocate(Layout::new::<T>()).cast::<T>();
    // SAFETY: allocated for it; and what is kept was of the global allocator, with that layout, as a box's is.
    unsafe {
        memory.write(value);
        Box::from_raw(memory)
    }
}

/// Drops a box, and keeps its memory as [`free`] does.
pub fn drop_boxed<T>(value: Box<T>) {
    let value = Box::into_raw(value);
    // SAFETY: from a box, which is given up.
    unsafe {
        ptr::drop_in_place(value);
        free(value.cast(), Layout::new::<T>());
    }
}

/// Gives back to the allocator what this thread keeps.
pub fn release() {
    // Where the thread ends there is none.
    let _ = KEPT.try_with(Kept::release);
}

#[cfg(all(test, not(any(miri, fuzzing, crossbeam_sanitize, tierstack_loom, tierstack_shuttle))))]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, align_of_size(size)).unwrap()
    }

    /// What this thread keeps, in bytes, after its lists were walked.
    fn kept() -> usize {
        KEPT.with(|kept| {
            let mut bytes = 0;
            for (list, head) in kept.lists.iter().enumerate() {
                let mut block = head.get();
                // SAFETY: as in `take`.
                while let Some(next) = unsafe { block.as_ref() }.map(|block| block.next) {
                    bytes += layout_of(list).size();
                    block = next;
                }
            }
            assert_eq!(bytes, kept.bytes.get());
            bytes
        })
    }

    #[test]
    fn what_is_freed_is_used_again_by_its_size() {
        thread::spawn(|| {
            let [small, large] = [layout(96), layout(136)];
            let blocks = [allocate(small), allocate(small), allocate(large)];
            for (block, layout) in blocks.into_iter().zip([small, small, large]) {
                // SAFETY: allocated so.
                unsafe { free(block, layout) };
            }
            assert_eq!(kept(), 96 + 96 + 136);
            assert_eq!([allocate(small), allocate(large), allocate(small)], [blocks[1], blocks[2], blocks[0]]);
            assert_eq!(kept(), 0);
            for (block, layout) in blocks.into_iter().zip([small, small, large]) {
                // SAFETY: allocated so.
                unsafe { free(block, layout) };
            }
            release();
            assert_eq!(kept(), 0);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn no_more_is_kept_than_is_said() {
        thread::spawn(|| {
            let layout = layout(SIZES * STEP);
            let blocks: HashSet<_> = (0..1000).map(|_| allocate(layout)).collect();
            assert_eq!(blocks.len(), 1000);
            for block in &blocks {
                // SAFETY: allocated so.
                unsafe { free(*block, layout) };
            }
            assert!((MOST - layout.size()..=MOST).contains(&kept()));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn other_sizes_and_alignments_are_not_kept() {
        thread::spawn(|| {
            let odd = [(SIZES * STEP + STEP, STEP), (40, 16), (36, 4), (96, 8), (96, 32)];
            for (size, align) in odd {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: allocated so.
                unsafe { free(allocate(layout), layout) };
            }
            assert_eq!(kept(), 0);
        })
        .join()
        .unwrap();
    }
}
