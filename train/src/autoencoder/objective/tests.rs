//! Tests of the objective: gradients against finite differences.

use super::*;
use crate::autoencoder::design::{Layers, Shape as ImageShape};

fn small(layers: Layers) -> Design {
    Design {
        layers,
        code_len: 3,
        ..Design::deep(ImageShape {
            height: 5,
            width: 5,
            channels: 1,
        })
    }
}

fn samples(n: usize, d: usize, random: &mut Normal) -> Tensor {
    let values: Vec<f32> = (0..n * d).map(|_| random.unit()).collect();
    Tensor::from_vec(values, (n, d), &Device::Cpu).unwrap()
}

fn scalar(tensor: &Tensor) -> f64 {
    f64::from(tensor.to_scalar::<f32>().unwrap())
}

/// The gradient of a term against finite differences, along a random way for each parameter.
fn check(design: &Design, term: impl Fn(&Terms) -> Tensor) {
    design.check().unwrap();
    let mut random = Normal::new(11);
    let network = Network::new(design, &mut random).unwrap();
    let clean = samples(12, design.shape.len(), &mut random);
    let noise = StepNoise::draw(design, &clean, &mut random).unwrap();
    let value = || term(&terms(&network, &clean, &noise).unwrap());
    let gradients = value().backward().unwrap();
    let mut checked = 0;
    for (name, parameter) in network.parameters() {
        let Some(gradient) = gradients.get(&parameter) else {
            continue;
        };
        let way: Vec<f32> = (0..parameter.elem_count()).map(|_| random.draw()).collect();
        let way = Tensor::from_vec(way, parameter.shape(), &Device::Cpu).unwrap();
        let length = scalar(&way.sqr().unwrap().sum_all().unwrap()).sqrt();
        let way = (way / length).unwrap();
        let slope = scalar(&(gradient * &way).unwrap().sum_all().unwrap());
        let here = parameter.as_tensor().copy().unwrap();
        let step = 5e-4;
        let at = |distance: f64| {
            let moved = (&here + (&way * distance).unwrap()).unwrap();
            parameter.set(&moved).unwrap();
            scalar(&value())
        };
        let measured = (at(step) - at(-step)) / (2.0 * step);
        parameter.set(&here).unwrap();
        let error = (measured - slope).abs();
        assert!(
            error < 0.03 * measured.abs().max(0.2),
            "{name}: {measured} by differences, {slope} by the gradient"
        );
        checked += 1;
    }
    assert!(checked >= 2, "{checked} parameters have a gradient");
}

fn named(name: &'static str) -> impl Fn(&Terms) -> Tensor {
    move |terms| {
        let found = terms.others.iter().find(|(term, _)| *term == name);
        found.unwrap().1.clone()
    }
}

#[test]
fn gradients_of_the_reconstructions() {
    for layers in [Layers::Dense(vec![7]), Layers::Convolutional(vec![2, 3])] {
        for loss in [Loss::Mse, Loss::Bce, Loss::Cosine] {
            let mut design = small(layers.clone());
            design.loss = loss;
            check(&design, |terms| terms.reconstruction.clone());
        }
    }
}

#[test]
fn gradient_of_the_cross_entropy_of_words() {
    let mut design = Design::words(20);
    design.layers = Layers::Dense(vec![7]);
    design.code_len = 3;
    check(&design, |terms| terms.reconstruction.clone());
}

#[test]
fn gradient_of_the_divergence_and_through_the_noise() {
    let mut design = small(Layers::Dense(vec![7]));
    design.beta = Some(0.7);
    check(&design, named("divergence"));
    check(&design, |terms| terms.reconstruction.clone());
}

#[test]
fn gradients_of_both_sparsities() {
    let mut design = small(Layers::Dense(vec![7]));
    design.sparsity = Some(Sparsity::L1 { weight: 0.3 });
    check(&design, named("sparsity"));
    design.sparsity = Some(Sparsity::Kl {
        target: 0.1,
        weight: 2.0,
    });
    check(&design, named("sparsity"));
}

#[test]
fn gradient_of_the_contraction() {
    for layers in [Layers::Dense(vec![7]), Layers::Convolutional(vec![2])] {
        let mut design = small(layers);
        design.contraction = 0.2;
        check(&design, named("contraction"));
    }
    let mut design = small(Layers::Dense(vec![]));
    design.contraction = 3.0;
    design.sparsity = Some(Sparsity::Kl {
        target: 0.2,
        weight: 1.0,
    });
    check(&design, named("contraction"));
}

#[test]
fn gradients_of_the_neighbourhood_and_the_coding_rate() {
    let mut design = small(Layers::Dense(vec![7]));
    (design.neighbourhood, design.coding_rate) = (1.5, 0.8);
    check(&design, named("neighbourhood"));
    check(&design, named("coding rate"));
}

#[test]
fn gradient_of_the_two_views() {
    let mut design = small(Layers::Dense(vec![7]));
    design.two_view = 0.6;
    check(&design, named("two views"));
    design.shape = ImageShape::features(20);
    design.code_len = 3;
    check(&design, named("two views"));
}

#[test]
fn a_moved_picture_is_the_picture_elsewhere() {
    let mut design = small(Layers::Dense(vec![]));
    design.shape = ImageShape {
        height: 16,
        width: 16,
        channels: 1,
    };
    let values: Vec<f32> = (0..256).map(|i| 0.5 + (i % 16) as f32 / 64.0).collect();
    let clean = Tensor::from_vec(values, (1, 256), &Device::Cpu).unwrap();
    let mut random = Normal::new(3);
    let mut differ = 0;
    for _ in 0..20 {
        let row: Vec<f32> = moved(&design, &clean, &mut random)
            .unwrap()
            .narrow(1, 128, 16)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        // A ramp from left to right stays one, whatever the shift.
        assert!(row.windows(2).all(|pair| pair[0] <= pair[1]), "{row:?}");
        differ += usize::from((row[8] - 0.625).abs() > 0.02);
    }
    assert!(differ > 5, "{differ}");
}

#[test]
fn gradient_of_the_balance_of_bits() {
    let mut design = small(Layers::Dense(vec![7]));
    design.twin_bits = 4;
    check(&design, named("balance"));
}

#[test]
fn the_contraction_is_the_jacobians_squared_norm_on_average() {
    let mut design = small(Layers::Dense(vec![6]));
    design.contraction = 1.0;
    let mut random = Normal::new(5);
    let network = Network::new(&design, &mut random).unwrap();
    let d = design.shape.len();
    let one = samples(1, d, &mut random);
    // The exact norm: the change along each axis.
    let many = one.broadcast_as((d, d)).unwrap().contiguous().unwrap();
    let axes = Tensor::eye(d, DType::F32, &Device::Cpu).unwrap();
    let slope = network.encode(&many, Some(&axes)).unwrap().slope.unwrap();
    let exact = scalar(&slope.sqr().unwrap().sum_all().unwrap());
    let n = 20_000;
    let many = one.broadcast_as((n, d)).unwrap().contiguous().unwrap();
    let noise = StepNoise::draw(&design, &many, &mut random).unwrap();
    let estimate = scalar(&named("contraction")(
        &terms(&network, &many, &noise).unwrap(),
    ));
    assert!((estimate / exact - 1.0).abs() < 0.05, "{estimate} {exact}");
}

#[test]
fn noise_spoils_as_much_as_it_says() {
    let mut random = Normal::new(2);
    let clean = Tensor::full(0.5f32, (100, 20), &Device::Cpu).unwrap();
    let mut design = small(Layers::Dense(vec![]));
    design.noise = Some(Noise::Masking(0.3));
    let corrupted = corrupt(&design, &clean, &mut random).unwrap();
    let left = scalar(&corrupted.mean_all().unwrap()) / 0.5;
    assert!((left - 0.7).abs() < 0.04, "{left}");
    design.noise = Some(Noise::Gaussian(0.1));
    let corrupted = corrupt(&design, &clean, &mut random).unwrap();
    let apart = (corrupted - clean).unwrap().sqr().unwrap();
    let deviation = scalar(&apart.mean_all().unwrap()).sqrt();
    assert!((deviation - 0.1).abs() < 0.01, "{deviation}");
}

#[test]
fn bits_go_up_as_plus_and_minus_one() {
    let code = Tensor::zeros((1, 2), DType::F32, &Device::Cpu).unwrap();
    let logits = Tensor::from_slice(&[0.3f32, -2.0], (1, 2), &Device::Cpu).unwrap();
    let made = bottleneck(&code, Some(&logits)).unwrap();
    assert_eq!(made.to_vec2::<f32>().unwrap(), [[0.0, 0.0, 1.0, -1.0]]);
}
