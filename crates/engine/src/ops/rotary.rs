//! Rotary position embedding.

use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{Dim, Extent, Shape, ShapeError, Ty};
use crate::table::{Buf, RopeStyle};

/// Rotates pairs of each head by an angle that grows with the position (Su et al. 2021). The pairs
/// are `(i, i + K/2)` in the rotate-half style of Llama and `(2i, 2i + 1)` in the interleaved one.
///
/// Inputs `x [N, H·K]`, `cos [P, K/2]`, `sin [P, K/2]`, `positions [N]` with values below `P`.
/// Output `y [N, H·K]`.
///
/// C1 `K` is even. C2 the width of `x` is a multiple of `K`. C3 the tables have `K/2` columns.
///
/// Derivative: the inverse rotation of `dy`.
///
/// Floor of an element: forward and derivative 8 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Rotary {
    /// `K`.
    pub head_dim: usize,
    /// Which elements form a pair.
    pub style: RopeStyle,
}

/// The tables `cos, sin [positions, K/2]` of angles `p·frequency`, in f64. The plain frequency of
/// pair `i` is `theta^(−2i/K)`.
pub fn rotary_tables(frequencies: &[f64], positions: usize) -> (Vec<f64>, Vec<f64>) {
    let row = |p: usize| {
        frequencies
            .iter()
            .map(move |frequency| p as f64 * frequency)
    };
    let angles = (0..positions).flat_map(row);
    angles.map(|a| (a.cos(), a.sin())).unzip()
}

impl Rotary {
    fn run(&self, cx: &mut Cx<'_>, inverse: bool, x: Buf, tables: [Buf; 3], y: Buf) {
        let [cos, sin, positions] = tables;
        cx.k.rope(
            self.style,
            self.head_dim,
            inverse,
            x,
            cos,
            sin,
            positions,
            y,
        );
    }
}

impl Op for Rotary {
    fn name(&self) -> &'static str {
        "rotary"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        let k = self.head_dim;
        constraint!(k > 0 && k.is_multiple_of(2), "C1", "head width {k} is odd");
        let x = &ins[0].shape;
        constraint!(
            x.cols().is_multiple_of(k),
            "C2",
            "{x} is no multiple of head width {k}"
        );
        for table in &ins[1..3] {
            constraint!(
                table.shape.cols() == k / 2,
                "C3",
                "table {} for head width {k}",
                table.shape
            );
        }
        Ok(vec![ins[0].clone()])
    }

    fn grads(&self) -> Vec<Grad> {
        let fixed = Grad::None("the angles are constants");
        vec![
            Grad::Flows,
            fixed,
            fixed,
            Grad::None("positions are discrete"),
        ]
    }

    fn rows(&self) -> Rows {
        Rows::Others
    }

    fn saves(&self) -> Saves {
        Saves::new(&[1, 2, 3], &[]).cheap().in_place(0).replacing()
    }

    fn scratch(&self, _ins: &[&Ty], _room: &Room<'_>) -> usize {
        0
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        self.run(cx, false, ins[0], [ins[1], ins[2], ins[3]], outs[0]);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        if let Some(dx) = call.dx[0] {
            self.run(
                cx,
                true,
                call.dy(),
                [call.input(1), call.input(2), call.input(3)],
                dx.buf,
            );
        }
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let n = ins[0].shape.len(extent) as f64;
        Cost {
            flops: 3.0 * n,
            elements: 2.0 * n,
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        let (n, width) = (b.shape(ins[0])[0], b.shape(ins[0])[1]);
        let (k, half) = (self.head_dim, self.head_dim / 2);
        let heads = width / k;
        let angle = |b: &mut Build, table: Val| {
            let rows = b.gather(table, ins[3]);
            b.reshape(rows, &[n, 1, half])
        };
        let (cos, sin) = (angle(b, ins[1]), angle(b, ins[2]));
        // [N, H, 2, K/2] with the two members of a pair along the third axis.
        let pairs = match self.style {
            RopeStyle::RotateHalf => b.reshape(ins[0], &[n, heads, 2, half]),
            RopeStyle::Interleaved => {
                let x = b.reshape(ins[0], &[n, heads, half, 2]);
                b.transpose(x)
            }
        };
        let member = |b: &mut Build, i: usize| {
            let x = b.slice(pairs, 2, i, 1);
            b.reshape(x, &[n, heads, half])
        };
        let (first, second) = (member(b, 0), member(b, 1));
        let product = |b: &mut Build, x: Val, y: Val| b.mul(x, y);
        let (fc, ss) = (product(b, first, cos), product(b, second, sin));
        let (fs, sc) = (product(b, first, sin), product(b, second, cos));
        let turned = [b.sub(fc, ss), b.add(fs, sc)].map(|x| b.reshape(x, &[n, heads, 1, half]));
        let y = b.concat(&turned, 2);
        let y = match self.style {
            RopeStyle::RotateHalf => y,
            RopeStyle::Interleaved => b.transpose(y),
        };
        vec![b.reshape(y, &[n, width])]
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "rotary",
    cases,
    rejects,
};

fn tables(head_dim: usize, positions: usize) -> [CaseInput; 2] {
    let ty = || Ty::float(Shape::fixed(&[positions, head_dim / 2]));
    let frequency = |i| 10_000f64.powf(-2.0 * f64::from(i) / head_dim as f64);
    let frequencies: Vec<f64> = (0..head_dim as u32 / 2).map(frequency).collect();
    let (cos, sin) = rotary_tables(&frequencies, positions);
    [CaseInput::floats(ty(), cos), CaseInput::floats(ty(), sin)]
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for style in [RopeStyle::RotateHalf, RopeStyle::Interleaved] {
        for (heads, k, positions) in [
            (1, 2, vec![0]),
            (3, 8, vec![0, 1, 2, 0, 1]),
            (2, 34, vec![5, 30, 7]),
        ] {
            let x = CaseInput::random(Ty::float(Shape::rows(heads * k)));
            let [cos, sin] = tables(k, 31);
            let index = CaseInput::given(
                Ty::index(Shape::new([Dim::Tokens])),
                positions.iter().copied(),
            );
            let name = format!("{style:?} {heads} heads of {k}");
            let op = Rotary { head_dim: k, style };
            cases.push(Case::new(
                name,
                op,
                positions.len(),
                vec![x, cos, sin, index],
            ));
        }
    }
    cases
}

fn rejects() -> Vec<Reject> {
    let op = |head_dim| Rotary {
        head_dim,
        style: RopeStyle::RotateHalf,
    };
    let ins = |width, half| {
        let table = || Ty::float(Shape::fixed(&[9, half]));
        let positions = Ty::index(Shape::new([Dim::Tokens]));
        vec![Ty::float(Shape::rows(width)), table(), table(), positions]
    };
    vec![
        Reject::new("C1", op(3), ins(6, 1)),
        Reject::new("C2", op(4), ins(6, 2)),
        Reject::new("C3", op(4), ins(8, 4)),
    ]
}
