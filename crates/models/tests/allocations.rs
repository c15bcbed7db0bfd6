//! A step allocates nothing, and the arena is as large as planned.
//!
//! One test, because the counter sees the whole process.
#![expect(unsafe_code, reason = "a global allocator cannot be written without")]

#[path = "proof/small.rs"]
mod small;

use small::{Batch, executor, step, trained, training, training_graph};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tenon_engine::cpu::Isa;
use tenon_engine::{DType, Recompute};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        note(bytes);
        // SAFETY: the caller's promise, handed on.
        unsafe { System.realloc(old, layout, bytes) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, handed on.
        unsafe { System.dealloc(old, layout) }
    }
}

fn note(bytes: usize) {
    COUNT.fetch_add(1, SeqCst);
    LARGEST.fetch_max(bytes, SeqCst);
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn steps_allocate_nothing_and_arenas_have_the_planned_size() {
    let full = Batch::of_lengths(&[17, 1, 13], 0);
    let shorter = Batch::of_lengths(&[5, 9], 1);
    for spec in trained() {
        for (threads, recompute) in [
            (1, Recompute::None),
            (2, Recompute::None),
            (2, Recompute::Full),
        ] {
            let label = format!("{} with {threads} threads, {recompute:?}", spec.family());
            let graph = training_graph(&spec, 0.1);
            let mut options = training(DType::F32, full.extent());
            options.recompute = recompute;
            LARGEST.store(0, SeqCst);
            let mut exec = executor(graph, options, threads, Isa::detect());
            // The arena is mapped; nothing near its size comes from the heap beside it.
            assert!(
                LARGEST.load(SeqCst) < exec.peak_bytes() / 8,
                "{label}: heap"
            );
            assert_eq!(exec.peak_bytes(), exec.plan().peak_bytes, "{label}");
            step(&mut exec, &full, 1);
            let before = COUNT.load(SeqCst);
            step(&mut exec, &shorter, 2);
            step(&mut exec, &full, 3);
            let n = COUNT.load(SeqCst) - before;
            assert_eq!(n, 0, "{label}: allocations in two steps");
        }
    }
}
