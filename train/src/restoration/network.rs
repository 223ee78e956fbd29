//! The network: a small U-Net on pictures whose pixels are rearranged 2 × 2.

use candle_core::{DType, Device, Result, Tensor, Var};

use crate::linear::Normal;

/// Planes of the input: red, green, blue, and one that depends on the task.
pub(super) const PLANES: usize = 4;
/// Planes of the output.
pub(super) const COLOURS: usize = 3;
/// The side of a kernel.
const KERNEL: usize = 3;
/// Pixels of a square that becomes one.
const BLOCK: usize = 4;

/// A convolution.
#[derive(Debug, Clone)]
pub(super) struct Conv {
    /// `[out, in, kernel, kernel]`.
    pub weight: Var,
    /// `[out]`.
    pub bias: Var,
}

/// What a layer of the network is, in the order of the computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A convolution with this number of inputs, outputs and side of its kernel.
    Conv {
        inside: usize,
        out: usize,
        kernel: usize,
    },
    /// max(0, x).
    Relu,
    /// Squares of 2 × 2 pixels become planes.
    Down,
    /// The reverse.
    Up,
    /// Keeps the planes for a later [`Step::Add`].
    Keep,
    /// Adds the planes that were kept last.
    Add,
}

/// Returns the steps of a network of a width.
pub(super) fn steps(width: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    let conv = |inside: usize, out: usize| Step::Conv {
        inside,
        out,
        kernel: KERNEL,
    };
    let point = |inside: usize, out: usize| Step::Conv {
        inside,
        out,
        kernel: 1,
    };
    let wide = 2 * width;
    steps.extend([Step::Down, conv(PLANES * BLOCK, width), Step::Relu]);
    steps.extend([conv(width, width), Step::Relu, Step::Keep]);
    steps.extend([Step::Down, point(width * BLOCK, wide), Step::Relu]);
    steps.extend([conv(wide, wide), Step::Relu, Step::Keep]);
    steps.extend([Step::Down, point(wide * BLOCK, wide), Step::Relu]);
    for _ in 0..3 {
        steps.extend([conv(wide, wide), Step::Relu]);
    }
    steps.extend([point(wide, wide * BLOCK), Step::Up, Step::Add]);
    steps.extend([conv(wide, wide), Step::Relu]);
    steps.extend([point(wide, width * BLOCK), Step::Up, Step::Add]);
    steps.extend([conv(width, width), Step::Relu]);
    steps.extend([conv(width, COLOURS * BLOCK), Step::Up]);
    steps
}

/// A network's parameters.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub steps: Vec<Step>,
    pub convs: Vec<Conv>,
}

impl Network {
    /// Makes a network with random weights (He et al. 2015). The last layer starts at zero: the
    /// picture is left as it is.
    pub fn new(width: usize, random: &mut Normal) -> Result<Self> {
        let steps = steps(width);
        let mut convs = Vec::new();
        let last = steps
            .iter()
            .rposition(|step| matches!(step, Step::Conv { .. }));
        for (i, step) in steps.iter().enumerate() {
            if let &Step::Conv {
                inside,
                out,
                kernel,
            } = step
            {
                let fan_in = inside * kernel * kernel;
                let scale = if Some(i) == last {
                    0.0
                } else {
                    (2.0 / fan_in as f32).sqrt()
                };
                let values: Vec<f32> = (0..out * fan_in).map(|_| scale * random.draw()).collect();
                let shape = [out, inside, kernel, kernel];
                convs.push(Conv {
                    weight: Var::from_vec(values, &shape, &Device::Cpu)?,
                    bias: Var::zeros(out, DType::F32, &Device::Cpu)?,
                });
            }
        }
        Ok(Self { steps, convs })
    }

    /// All parameters.
    pub fn parameters(&self) -> Vec<Var> {
        let both = |conv: &Conv| [conv.weight.clone(), conv.bias.clone()];
        self.convs.iter().flat_map(both).collect()
    }

    /// Restores pictures `[n, 4, height, width]`, with sides that are multiples of 8. Returns
    /// `[n, 3, height, width]`.
    pub fn forward(&self, pictures: &Tensor) -> Result<Tensor> {
        let mut x = pictures.clone();
        let mut kept = Vec::new();
        let mut convs = self.convs.iter();
        for step in &self.steps {
            x = match step {
                Step::Conv { .. } => match convs.next() {
                    Some(conv) => convolved(&x, conv)?,
                    None => x,
                },
                Step::Relu => x.relu()?,
                Step::Down => down(&x)?,
                Step::Up => up(&x)?,
                Step::Keep => {
                    kept.push(x.clone());
                    x
                }
                Step::Add => match kept.pop() {
                    Some(kept) => (x + kept)?,
                    None => x,
                },
            };
        }
        pictures.narrow(1, 0, COLOURS)? + x
    }
}

/// A convolution as one product of matrices of shifted copies, which is faster than the direct one,
/// above all backwards.
fn convolved(x: &Tensor, conv: &Conv) -> Result<Tensor> {
    let (n, inside, height, width) = x.dims4()?;
    let (out, _, kernel, _) = conv.weight.dims4()?;
    let columns = if kernel == 1 {
        x.reshape((n, inside, height * width))?
    } else {
        let pad = kernel / 2;
        let padded = x.pad_with_zeros(2, pad, pad)?.pad_with_zeros(3, pad, pad)?;
        let mut shifted = Vec::with_capacity(kernel * kernel);
        for row in 0..kernel {
            for column in 0..kernel {
                shifted.push(padded.narrow(2, row, height)?.narrow(3, column, width)?);
            }
        }
        Tensor::cat(&shifted, 1)?.reshape((n, kernel * kernel * inside, height * width))?
    };
    // The copies come first in the columns, the planes in each of them.
    let weight = conv
        .weight
        .permute((0, 2, 3, 1))?
        .contiguous()?
        .reshape((1, out, kernel * kernel * inside))?
        .broadcast_as((n, out, kernel * kernel * inside))?;
    weight
        .matmul(&columns)?
        .reshape((n, out, height, width))?
        .broadcast_add(&conv.bias.reshape((1, out, 1, 1))?)
}

/// Squares of 2 × 2 pixels become planes, as `SpaceToDepth` does.
fn down(x: &Tensor) -> Result<Tensor> {
    let (n, planes, height, width) = x.dims4()?;
    let (h, w) = (height / 2, width / 2);
    x.reshape(&[n, planes, h, 2, w, 2][..])?
        .permute([0, 3, 5, 1, 2, 4])?
        .contiguous()?
        .reshape((n, planes * BLOCK, h, w))
}

/// The reverse, as `DepthToSpace` does.
fn up(x: &Tensor) -> Result<Tensor> {
    let (n, planes, h, w) = x.dims4()?;
    let planes = planes / BLOCK;
    x.reshape(&[n, 2, 2, planes, h, w][..])?
        .permute([0, 3, 4, 1, 5, 2])?
        .contiguous()?
        .reshape((n, planes, h * 2, w * 2))
}
