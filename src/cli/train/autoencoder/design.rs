//! From the arguments to the design of an autoencoder.

use imgsearch::training::autoencoder::{Design, Layers, Loss, Noise, Shape, Sparsity};

use crate::cli::Result;
use crate::cli::args::{DesignArgs, KindArg, LossArg};

/// Returns the design that the arguments describe.
pub fn design(args: &DesignArgs, shape: Shape, code_len: usize) -> Result<Design> {
    let kind = args.kind;
    let start = match kind {
        KindArg::Convolutional => Design::convolutional(shape),
        _ => Design::deep(shape),
    };
    let layers = match (&args.layers, kind) {
        (None, KindArg::Simple) => Layers::Dense(Vec::new()),
        (None, _) => start.layers.clone(),
        (Some(sizes), KindArg::Convolutional) => Layers::Convolutional(sizes.clone()),
        (Some(sizes), KindArg::Simple) if !sizes.is_empty() => {
            return Err("a simple autoencoder has no layers but its code: leave out --layers, or use --kind deep".into());
        }
        (Some(sizes), _) => Layers::Dense(sizes.clone()),
    };
    let part = |given: &Option<String>, of: KindArg, usual: &str| match given {
        Some(text) => Some(text.clone()),
        None => (kind == of).then(|| usual.to_owned()),
    };
    let number = |given: Option<f64>, of: KindArg, usual: f64| {
        given.or_else(|| (kind == of).then_some(usual))
    };
    let noise = part(&args.noise, KindArg::Denoising, "masking:0.25");
    let sparsity = part(&args.sparsity, KindArg::Sparse, "l1:0.05");
    let bits = args.twin_bits;
    let design = Design {
        layers,
        code_len,
        loss: match args.loss {
            LossArg::Mse => Loss::Mse,
            LossArg::Bce => Loss::Bce,
            LossArg::Cosine => Loss::Cosine,
        },
        noise: noise.as_deref().map(parse_noise).transpose()?,
        sparsity: sparsity.as_deref().map(parse_sparsity).transpose()?,
        contraction: number(args.contraction, KindArg::Contractive, 0.001).unwrap_or(0.0),
        beta: number(args.beta, KindArg::Variational, 1.0),
        twin_bits: bits.unwrap_or(if kind == KindArg::Twin { 64 } else { 0 }),
        neighbourhood: args.neighbourhood,
        two_view: args.two_view,
        coding_rate: args.coding_rate,
        ..start
    };
    design.check()?;
    Ok(design)
}

fn parse_noise(text: &str) -> Result<Noise> {
    let parsed = text.split_once(':').and_then(|(kind, number)| {
        let number = number.parse().ok()?;
        match kind {
            "gaussian" => Some(Noise::Gaussian(number)),
            "masking" => Some(Noise::Masking(number)),
            _ => None,
        }
    });
    parsed.ok_or_else(|| {
        format!("--noise {text}: write gaussian:DEVIATION or masking:SHARE, such as masking:0.25")
            .into()
    })
}

fn parse_sparsity(text: &str) -> Result<Sparsity> {
    let parts: Vec<&str> = text.split(':').collect();
    let parsed = match parts.as_slice() {
        ["l1", weight] => weight.parse().ok().map(|weight| Sparsity::L1 { weight }),
        ["kl", target, weight] => target
            .parse()
            .ok()
            .zip(weight.parse().ok())
            .map(|(target, weight)| Sparsity::Kl { target, weight }),
        _ => None,
    };
    parsed.ok_or_else(|| {
        format!("--sparsity {text}: write l1:WEIGHT or kl:TARGET:WEIGHT, such as kl:0.05:1").into()
    })
}
