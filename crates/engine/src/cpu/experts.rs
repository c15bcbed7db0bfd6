//! Expert layers on the CPU.

use super::{Cpu, whole, with_float};
use crate::table::{Balance, Buf, ExpertKernels, Routes, Target};
use tenon_kernels as kernels;

impl ExpertKernels for Cpu {
    fn route(&mut self, logits: Buf, routes: &Routes) {
        let (cx, lend) = self.open();
        with_float!(logits.dtype, S => {
            let [experts, places, rows, bounds] =
                [routes.experts, routes.places, routes.rows, routes.bounds]
                    .map(|b| lend.write(whole(b)));
            let [shares, weights] = [routes.shares, routes.weights].map(|b| lend.write(whole(b)));
            let to = kernels::Routes { experts, shares, places, rows, bounds, weights };
            kernels::route::<S>(cx, lend.read(whole(logits)), to);
        });
    }

    fn route_vjp(&mut self, routes: &Routes, dweights: Buf, dlogits: Target) {
        let (cx, lend) = self.open();
        with_float!(dweights.dtype, S => {
            let indices = [routes.experts, routes.places].map(|b| lend.read(whole(b)));
            let values = [routes.shares, dweights].map(|b| lend.read(whole(b)));
            let Target { buf, accumulate } = dlogits;
            let to = lend.write(whole(buf));
            kernels::route_vjp::<S>(cx, indices, values, buf.cols, to, accumulate);
        });
    }

    fn weigh_rows(&mut self, weights: Buf, x: Buf) {
        let (cx, lend) = self.open();
        with_float!(x.dtype, S => {
            kernels::weigh_rows::<S>(cx, lend.read(whole(weights)), lend.write(whole(x)));
        });
    }

    fn weigh_rows_vjp(&mut self, weights: Buf, y: Buf, dy: Buf, dweights: Buf) {
        let (cx, lend) = self.open();
        with_float!(y.dtype, S => {
            let [weights, y] = [weights, y].map(|b| lend.read(whole(b)));
            let [dy, dweights] = [dy, dweights].map(|b| lend.write(whole(b)));
            kernels::weigh_rows_vjp::<S>(cx, weights, y, dy, dweights);
        });
    }

    fn balance_add(&mut self, logits: Buf, per_token: usize, sums: Buf) {
        let (cx, lend) = self.open();
        with_float!(logits.dtype, S => {
            let (z, sums) = (lend.read(whole(logits)), lend.write(whole(sums)));
            kernels::balance_add::<S>(cx, z, per_token, sums);
        });
    }

    fn balance_rows(&mut self, balance: &Balance, targets: Buf, sums: Buf, loss: Buf) {
        let (_, lend) = self.open();
        let balance = kernels::Balance {
            coefficient: balance.coefficient,
            n_rows: balance.n_rows,
        };
        let (sums, loss) = (lend.write(whole(sums)), lend.write(whole(loss)));
        kernels::balance_rows(balance, lend.read(whole(targets)), sums, loss);
    }

    fn balance_vjp(&mut self, logits: Buf, sums: Buf, dlogits: Target) {
        let (cx, lend) = self.open();
        let slopes = &lend.read::<f64>(whole(sums))[..logits.cols];
        with_float!(logits.dtype, S => {
            let to = lend.write(whole(dlogits.buf));
            let z = lend.read(whole(logits));
            kernels::balance_vjp::<S>(cx, z, slopes, to, dlogits.accumulate);
        });
    }
}
