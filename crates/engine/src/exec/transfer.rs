//! Numbers on their way to and from the device through a small window: no tensor exists twice.

use super::Executor;
use crate::graph::ParamId;
use crate::shape::DType;
use crate::table::{Buf, Kernels};

/// Bytes of the window.
const WINDOW_BYTES: usize = 16 << 10;

impl Executor {
    /// Sets a parameter to these values in their order, rounding to the plan's type.
    ///
    /// # Panics
    /// When there are more or fewer values than the parameter has elements.
    pub fn fill_param(&mut self, p: ParamId, values: impl Iterator<Item = f64>) {
        let buf = self.first_buf(self.first().params[p.0 as usize]);
        upload(self.device.as_mut(), buf, values);
    }

    /// Hands the bytes of a parameter, in the plan's type, to `f` piece by piece.
    ///
    /// # Errors
    /// The first of `f`, which is not called again.
    pub fn param_pieces<E>(
        &mut self,
        p: ParamId,
        f: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let buf = self.first_buf(self.first().params[p.0 as usize]);
        download(self.device.as_mut(), buf, f)
    }

    /// Hands the bytes of an optimiser buffer of a parameter to `f` piece by piece.
    ///
    /// # Errors
    /// The first of `f`, which is not called again.
    pub fn moment_pieces<E>(
        &mut self,
        p: ParamId,
        i: usize,
        f: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let buf = self.first_buf(self.first().moments[p.0 as usize][i]);
        download(self.device.as_mut(), buf, f)
    }
}

/// The pieces of a contiguous buffer, each no larger than the window. What lies in panels is turned
/// by the device, as a whole.
fn pieces(buf: Buf) -> impl Iterator<Item = Buf> {
    let most = match buf.panels {
        None => WINDOW_BYTES / buf.dtype.bytes(),
        Some(_) => buf.len().max(1),
    };
    (0..buf.len())
        .step_by(most)
        .map(move |from| match buf.panels {
            None => buf
                .reshaped(1, buf.len())
                .columns(from..(from + most).min(buf.len())),
            Some(_) => buf,
        })
}

/// Room for the largest piece: the window, or `whole` for what lies in panels.
fn room<'w>(buf: Buf, window: &'w mut [u8; WINDOW_BYTES], whole: &'w mut Vec<u8>) -> &'w mut [u8] {
    if buf.panels.is_none() {
        return window;
    }
    whole.resize(buf.len() * buf.dtype.bytes(), 0);
    whole
}

/// Writes values to a buffer, rounded to its type.
///
/// # Panics
/// When there are more or fewer values than elements.
pub(super) fn upload(device: &mut dyn Kernels, buf: Buf, values: impl Iterator<Item = f64>) {
    let mut values = values.fuse();
    let (mut window, mut whole) = ([0; WINDOW_BYTES], Vec::new());
    let room = room(buf, &mut window, &mut whole);
    for piece in pieces(buf) {
        let bytes = &mut room[..piece.len() * piece.dtype.bytes()];
        let n = match piece.dtype {
            DType::F32 => encode(bytes, &mut values, |x| (x as f32).to_le_bytes()),
            DType::F64 => encode(bytes, &mut values, f64::to_le_bytes),
            DType::I32 => encode(bytes, &mut values, |x| (x as i32).to_le_bytes()),
        };
        assert_eq!(
            n,
            piece.len(),
            "too few values for a buffer of {}",
            buf.len()
        );
        device.upload(piece, bytes);
    }
    assert!(values.next().is_none(), "too many values for {}", buf.len());
}

/// Fills `bytes` with values and returns how many there were.
fn encode<const N: usize>(
    bytes: &mut [u8],
    values: &mut impl Iterator<Item = f64>,
    of: impl Fn(f64) -> [u8; N],
) -> usize {
    let mut n = 0;
    for (place, x) in bytes.chunks_exact_mut(N).zip(values) {
        place.copy_from_slice(&of(x));
        n += 1;
    }
    n
}

fn download<E>(
    device: &mut dyn Kernels,
    buf: Buf,
    mut f: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let (mut window, mut whole) = ([0; WINDOW_BYTES], Vec::new());
    let room = room(buf, &mut window, &mut whole);
    pieces(buf).try_for_each(|piece| {
        let bytes = &mut room[..piece.len() * piece.dtype.bytes()];
        device.download(piece, bytes);
        f(bytes)
    })
}
