//! Tensors whose elements do not follow one another, such as transposed ones: gathered when they
//! are first read.

use std::sync::OnceLock;

/// How the elements lie.
#[derive(Debug)]
pub(in crate::checkpoint) struct Strided {
    shape: Vec<usize>,
    /// In elements.
    strides: Vec<usize>,
    /// Bytes of an element.
    item: usize,
    gathered: OnceLock<Vec<u8>>,
}

impl Strided {
    /// `None` for a tensor whose elements follow one another in row-major order.
    pub(super) fn new(shape: &[usize], strides: &[usize], item: usize) -> Option<Strided> {
        let mut expected = 1;
        let mut is_contiguous = true;
        for (&dim, &stride) in shape.iter().zip(strides).rev() {
            is_contiguous &= dim == 1 || stride == expected;
            expected *= dim;
        }
        // `expected` is now the number of elements.
        (!is_contiguous && expected > 0).then(|| Strided {
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            item,
            gathered: OnceLock::new(),
        })
    }

    /// Elements from the first to the last; `None` when the number overflows.
    pub(super) fn span(shape: &[usize], strides: &[usize]) -> Option<usize> {
        if shape.contains(&0) {
            return Some(0);
        }
        let mut dims = shape.iter().zip(strides);
        dims.try_fold(1usize, |span, (dim, stride)| {
            span.checked_add((dim - 1).checked_mul(*stride)?)
        })
    }

    /// The elements in row-major order, out of the bytes that the tensor spans.
    pub(in crate::checkpoint) fn bytes(&self, spanned: &[u8]) -> &[u8] {
        self.gathered.get_or_init(|| self.gather(spanned))
    }

    fn gather(&self, spanned: &[u8]) -> Vec<u8> {
        let n: usize = self.shape.iter().product();
        let mut gathered = Vec::with_capacity(n * self.item);
        let mut index = vec![0; self.shape.len()];
        let mut at = 0;
        for _ in 0..n {
            gathered.extend_from_slice(&spanned[at * self.item..(at + 1) * self.item]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                at += self.strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                at -= index[axis] * self.strides[axis];
                index[axis] = 0;
            }
        }
        gathered
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn contiguous_tensors_are_no_copies() {
        assert!(Strided::new(&[2, 3], &[3, 1], 4).is_none());
        assert!(Strided::new(&[], &[], 4).is_none());
        assert!(Strided::new(&[1, 3], &[99, 1], 4).is_none());
        assert!(Strided::new(&[0, 3], &[7, 7], 4).is_none());
        assert!(Strided::new(&[2, 3], &[1, 2], 4).is_some());
        assert!(Strided::new(&[3], &[0], 4).is_some());
    }

    #[test]
    fn spans_end_at_the_last_element() {
        assert_eq!(Strided::span(&[], &[]), Some(1));
        assert_eq!(Strided::span(&[2, 3], &[1, 2]), Some(6));
        assert_eq!(Strided::span(&[2, 0], &[usize::MAX, 9]), Some(0));
        assert_eq!(Strided::span(&[3], &[usize::MAX]), None);
    }

    proptest! {
        #[test]
        fn each_element_is_where_its_index_says(
            dims in prop::collection::vec((1usize..4, 0usize..5), 0..4),
            item in 1usize..4,
        ) {
            let (shape, strides): (Vec<_>, Vec<_>) = dims.into_iter().unzip();
            let span = Strided::span(&shape, &strides).unwrap();
            let spanned: Vec<u8> = (0..span * item).map(|i| i as u8).collect();
            let n: usize = shape.iter().product();
            let Some(strided) = Strided::new(&shape, &strides, item) else {
                prop_assert_eq!(n, span);
                return Ok(());
            };
            let bytes = strided.bytes(&spanned);
            prop_assert_eq!(bytes.len(), n * item);
            for flat in 0..n {
                let mut rest = flat;
                let mut at = 0;
                for (dim, stride) in shape.iter().zip(&strides).rev() {
                    at += rest % dim * stride;
                    rest /= dim;
                }
                let there = &spanned[at * item..(at + 1) * item];
                prop_assert_eq!(&bytes[flat * item..(flat + 1) * item], there);
            }
        }
    }
}
