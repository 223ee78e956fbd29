//! Running code with the widest vector instructions that the processor has.
//!
//! Owns the use of `pulp`, which compiles a piece of work once for each instruction set and picks
//! one when the program runs.

pub(crate) use pulp::Simd;

/// A piece of work that is worth compiling for several instruction sets: what it calls must be
/// inlined into [`Work::run`], and that with `#[inline(always)]`.
pub(crate) trait Work {
    /// What comes of it.
    type Output;

    /// Does the work with the instructions of `simd`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

struct Compiled<W>(W);

impl<W: Work> pulp::WithSimd for Compiled<W> {
    type Output = W::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> W::Output {
        self.0.run(simd)
    }
}

/// Does the work with the widest instructions there are.
pub(crate) fn widest<W: Work>(work: W) -> W::Output {
    pulp::Arch::new().dispatch(Compiled(work))
}
