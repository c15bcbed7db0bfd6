//! One allocation for all buffers of a plan, lent out as slices with checks at run time.

use memmap2::MmapMut;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ptr::NonNull;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for i32 {}
    impl Sealed for u8 {}
    impl Sealed for u64 {}
}

/// Plain old data: every bit pattern is a value, no padding, no drop.
pub trait Pod: Copy + Send + Sync + 'static + sealed::Sealed {}
impl Pod for f32 {}
impl Pod for f64 {}
impl Pod for i32 {}
impl Pod for u8 {}
impl Pod for u64 {}

/// Alignment of the arena's first byte: one cache line, one AVX-512 register.
const ALIGN: usize = 64;
/// Slices that one [`Lend`] can hand out.
const LENT_MAX: usize = 32;

/// A byte range of an [`Arena`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First byte, from the arena's start.
    pub offset: usize,
    /// Length in bytes.
    pub bytes: usize,
}

impl Region {
    fn overlaps(self, other: Region) -> bool {
        let both = self.bytes > 0 && other.bytes > 0;
        both && self.offset < other.offset + other.bytes && other.offset < self.offset + self.bytes
    }
}

/// One zeroed, 64-byte aligned allocation.
#[derive(Debug)]
pub struct Arena {
    memory: MmapMut,
}

impl Arena {
    /// Allocates `bytes` zeroed bytes, in huge pages where the system has them: products walk
    /// through matrices by rows, and a row is often a page away from the next.
    ///
    /// # Panics
    /// When the system does not give the memory.
    pub fn new(bytes: usize) -> Arena {
        let memory = MmapMut::map_anon(bytes.max(ALIGN))
            .unwrap_or_else(|e| panic!("no memory for an arena of {bytes} bytes: {e}"));
        // A wish: small pages hold the same bytes.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        Arena { memory }
    }

    /// The size in bytes.
    pub fn bytes(&self) -> usize {
        self.memory.len()
    }

    /// Starts lending slices; they all end before the next call.
    pub fn lend(&mut self) -> Lend<'_> {
        let none = Lent {
            region: Region {
                offset: 0,
                bytes: 0,
            },
            written: false,
        };
        Lend {
            bytes: self.memory.len(),
            start: NonNull::from(&mut self.memory[..]).cast(),
            lent: RefCell::new([none; LENT_MAX]),
            n_lent: Cell::new(0),
            arena: PhantomData,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Lent {
    region: Region,
    written: bool,
}

/// Slices of one arena, lent for `'a`: what is written overlaps nothing else that is lent.
#[derive(Debug)]
pub struct Lend<'a> {
    start: NonNull<u8>,
    bytes: usize,
    lent: RefCell<[Lent; LENT_MAX]>,
    n_lent: Cell<usize>,
    arena: PhantomData<&'a mut [u8]>,
}

impl<'a> Lend<'a> {
    /// A shared slice of `region`; shared slices may overlap each other.
    ///
    /// # Panics
    /// When the region leaves the arena, does not fit `T`, overlaps a written region, or is the
    /// 33rd.
    #[track_caller]
    pub fn read<T: Pod>(&self, region: Region) -> &'a [T] {
        let start = self.check::<T>(region, false);
        // SAFETY: `check` proved bounds, alignment and that no written slice overlaps; every bit
        // pattern is a `T`; the bytes live for 'a and were zeroed at allocation.
        unsafe { std::slice::from_raw_parts(start, region.bytes / size_of::<T>()) }
    }

    /// An exclusive slice of `region`.
    ///
    /// # Panics
    /// As [`Lend::read`], and when the region overlaps any slice lent before.
    #[track_caller]
    pub fn write<T: Pod>(&self, region: Region) -> &'a mut [T] {
        let start = self.check::<T>(region, true);
        // SAFETY: as in `read`, and `check` proved that nothing lent overlaps.
        unsafe { std::slice::from_raw_parts_mut(start, region.bytes / size_of::<T>()) }
    }

    #[track_caller]
    fn check<T: Pod>(&self, region: Region, written: bool) -> *mut T {
        let end = region.offset.checked_add(region.bytes);
        assert!(
            end.is_some_and(|end| end <= self.bytes),
            "{region:?} leaves {} bytes",
            self.bytes
        );
        assert!(
            region.offset.is_multiple_of(align_of::<T>()),
            "{region:?} is not aligned"
        );
        assert!(
            region.bytes.is_multiple_of(size_of::<T>()),
            "{region:?} is not whole elements"
        );
        let n_lent = self.n_lent.get();
        assert!(
            n_lent < LENT_MAX,
            "more than {LENT_MAX} slices lent at once"
        );
        let mut lent = self.lent.borrow_mut();
        for other in &lent[..n_lent] {
            let clash = (written || other.written) && region.overlaps(other.region);
            assert!(
                !clash,
                "{region:?} overlaps {:?}, and one is written",
                other.region
            );
        }
        lent[n_lent] = Lent { region, written };
        self.n_lent.set(n_lent + 1);
        // SAFETY: the offset lies within the allocation, as asserted above.
        unsafe { self.start.as_ptr().add(region.offset).cast() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Arena, Region};

    const fn at(offset: usize, bytes: usize) -> Region {
        Region { offset, bytes }
    }

    #[test]
    fn starts_zeroed_and_aligned() {
        let mut arena = Arena::new(1000);
        let lend = arena.lend();
        let all = lend.read::<u8>(at(0, 1000));
        assert!(all.iter().all(|&b| b == 0));
        assert_eq!(all.as_ptr() as usize % 64, 0);
    }

    #[test]
    fn writes_are_seen_by_the_next_lend() {
        let mut arena = Arena::new(256);
        {
            let lend = arena.lend();
            let (a, b) = (lend.write::<f32>(at(0, 64)), lend.write::<f64>(at(64, 64)));
            a.fill(1.5);
            b.fill(2.5);
        }
        let lend = arena.lend();
        assert_eq!(lend.read::<f32>(at(0, 64)), [1.5; 16]);
        assert_eq!(lend.read::<f64>(at(64, 64)), [2.5; 8]);
        assert_eq!(lend.read::<f64>(at(96, 32)), [2.5; 4]);
    }

    #[test]
    #[should_panic(expected = "overlaps")]
    fn write_over_read() {
        let mut arena = Arena::new(256);
        let lend = arena.lend();
        lend.read::<f32>(at(0, 64));
        lend.write::<f32>(at(60, 64));
    }

    #[test]
    #[should_panic(expected = "overlaps")]
    fn read_over_write() {
        let mut arena = Arena::new(256);
        let lend = arena.lend();
        lend.write::<f32>(at(0, 64));
        lend.read::<u8>(at(63, 1));
    }

    #[test]
    fn empty_region_overlaps_nothing() {
        let mut arena = Arena::new(64);
        let lend = arena.lend();
        lend.write::<f32>(at(0, 64));
        assert!(lend.write::<f32>(at(32, 0)).is_empty());
        assert!(lend.read::<f32>(at(64, 0)).is_empty());
    }

    #[test]
    #[should_panic(expected = "leaves")]
    fn out_of_bounds() {
        Arena::new(64).lend().read::<u8>(at(60, 5));
    }

    #[test]
    #[should_panic(expected = "leaves")]
    fn offset_plus_bytes_overflows() {
        Arena::new(64).lend().read::<u8>(at(usize::MAX, 2));
    }

    #[test]
    #[should_panic(expected = "not aligned")]
    fn misaligned() {
        Arena::new(64).lend().read::<f32>(at(2, 8));
    }

    #[test]
    #[should_panic(expected = "whole elements")]
    fn part_of_an_element() {
        Arena::new(64).lend().read::<f64>(at(0, 12));
    }
}
