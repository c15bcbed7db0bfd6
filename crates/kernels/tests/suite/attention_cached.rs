//! Decoding from a cache: the bits of the whole sequence, and what does not fit.

use crate::attention::Case;
use crate::common::{assert_same_bits, once, same_everywhere};
use tenon_kernels::{
    Cache, CachedAttention, Cols, Cx, attention_cached, attention_work_len, cache_append,
};

/// Feeds a sequence to a cache in pieces and returns the outputs of all rows.
fn decode(cx: Cx<'_>, case: &Case<f32>, pieces: &[usize]) -> Vec<f32> {
    let [_, width, _] = case.widths();
    let (capacity, slot) = (300, 1);
    let (mut k, mut v) = (
        vec![f32::NAN; 3 * capacity * width],
        vec![f32::NAN; 3 * capacity * width],
    );
    let mut work = vec![f32::NAN; attention_work_len::<f32>(case.head_dim, cx.pool().threads())];
    let (mut past, mut outs) = (0, Vec::new());
    for &piece in pieces {
        let row = case.row_stride();
        let view = case.view(&case.qkv[past * row..]);
        let cache = Cache {
            capacity,
            width,
            cu_seqlens: &[0, piece as i32],
            past: &[past as i32],
            slots: &[slot],
        };
        cache_append(cache, view.k, view.v, &mut k, &mut v);
        let a = CachedAttention {
            q: view.q,
            k: &k,
            v: &v,
            cache,
            n_heads: case.n_heads,
            n_kv_heads: case.n_kv_heads,
            head_dim: case.head_dim,
            scale: case.scale(),
            window: case.window,
        };
        let mut out = vec![f32::NAN; piece * case.widths()[0]];
        attention_cached(cx, a, &mut out, &mut work);
        outs.extend(out);
        past += piece;
    }
    outs
}

#[test]
fn decoding_from_a_cache_has_the_bits_of_the_whole() {
    let plain = [(2, 2, 16), (4, 1, 16), (3, 3, 7), (8, 1, 64), (2, 2, 100)].map(|c| (c, None));
    let windowed = [((4, 2, 16), Some(30)), ((7, 1, 25), Some(97))];
    for ((h, g, head_dim), window) in plain.into_iter().chain(windowed) {
        let mut case = Case::<f32>::new(&[230], (h, g), head_dim, true);
        case.window = window;
        let want = once(|cx| case.forward(cx, &case.qkv).0);
        for pieces in [
            vec![230],
            vec![1; 230],
            vec![70, 1, 1, 158],
            vec![3, 0, 227],
        ] {
            let got = same_everywhere(|cx| decode(cx, &case, &pieces));
            assert_same_bits(&got, &want, &format!("{h}/{g} of {head_dim}, {window:?}"));
        }
    }
}

#[test]
fn sequences_in_one_cache_do_not_disturb_each_other() {
    let case = Case::<f32>::new(&[4, 7], (2, 1), 8, true);
    let want = once(|cx| case.forward(cx, &case.qkv).0);
    let got = same_everywhere(|cx| {
        let view = case.view(&case.qkv);
        let (mut k, mut v) = (vec![f32::NAN; 5 * 10 * 8], vec![f32::NAN; 5 * 10 * 8]);
        let cache = Cache {
            capacity: 10,
            width: 8,
            cu_seqlens: &case.cu_seqlens,
            past: &[0, 0],
            slots: &[4, 0],
        };
        cache_append(cache, view.k, view.v, &mut k, &mut v);
        let a = CachedAttention {
            q: view.q,
            k: &k,
            v: &v,
            cache,
            n_heads: 2,
            n_kv_heads: 1,
            head_dim: 8,
            scale: case.scale(),
            window: None,
        };
        let mut out = vec![f32::NAN; want.len()];
        let mut work = vec![0.0; attention_work_len::<f32>(8, cx.pool().threads())];
        attention_cached(cx, a, &mut out, &mut work);
        out
    });
    assert_same_bits(&got, &want, "two slots");
}

fn appended(cu_seqlens: &[i32], past: &[i32], slots: &[i32]) {
    let rows = [0.0f32; 8];
    let cache = Cache {
        capacity: 4,
        width: 2,
        cu_seqlens,
        past,
        slots,
    };
    let cols = Cols::whole(&rows, 2);
    cache_append(cache, cols, cols, &mut [0.0; 16], &mut [0.0; 16]);
}

#[test]
#[should_panic(expected = "5 rows in a slot of 4")]
fn a_full_slot_is_refused() {
    appended(&[0, 2], &[3], &[0]);
}

#[test]
#[should_panic(expected = "slot 2 of a cache")]
fn a_slot_outside_the_cache_is_refused() {
    appended(&[0, 1], &[0], &[2]);
}

#[test]
#[should_panic(expected = "slot 1 twice")]
fn a_shared_slot_is_refused() {
    appended(&[0, 1, 2], &[0, 0], &[1, 1]);
}
