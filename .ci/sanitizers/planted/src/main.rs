//! One error for each sanitizer, which it has to find before its silence about anything else is believed.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("address") => use_after_free(),
        Some("leak") => leak(),
        Some("thread") => race(),
        _ => panic!("which? address, leak or thread"),
    }
}

fn use_after_free() {
    let pointer = black_box(Box::into_raw(Box::new(7_u64)));
    // SAFETY: none. The second line reads what the first has freed.
    unsafe {
        drop(Box::from_raw(pointer));
        black_box(pointer.read());
    }
}

fn leak() {
    // On a thread of its own, so that no register or stack of the main one still names them.
    let work = thread::spawn(|| (0..100).for_each(|number| std::mem::forget(black_box(Box::new([number; 8])))));
    work.join().unwrap();
}

struct Shared(*mut u64);
// SAFETY: none. Both threads write.
unsafe impl Send for Shared {}

fn race() {
    static READY: AtomicBool = AtomicBool::new(false);
    let place = Box::into_raw(Box::new(0_u64));
    let shared = Shared(place);
    let work = thread::spawn(move || {
        let shared = shared;
        // SAFETY: the place is freed once both are done.
        unsafe { shared.0.write_volatile(1) };
        // It ought to be Release: the reader then knows nothing of the write.
        READY.store(true, Ordering::Relaxed);
    });
    while !READY.load(Ordering::Acquire) {
        std::hint::spin_loop();
    }
    // SAFETY: none. Nothing orders this after the other thread's write.
    unsafe { place.write_volatile(2) };
    work.join().unwrap();
    // SAFETY: from `into_raw`, and nobody else is left.
    drop(unsafe { Box::from_raw(place) });
}
