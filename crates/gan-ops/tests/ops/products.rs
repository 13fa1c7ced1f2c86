//! Linear layers and convolutions.

use crate::twins::{ACTIVATIONS, Choices, assert_twins};
use candle_core::{Result, Tensor};
use gan_ops::fused::serves;
use gan_ops::{Activation, reference};

#[test]
fn linear() -> Result<()> {
    let mut choices = Choices(1);
    for (batch, inputs, outputs) in [(1, 1, 1), (1, 3, 70), (37, 1, 3), (37, 70, 1), (37, 784, 33)] {
        for activation in ACTIVATIONS {
            for biased in [0, 1] {
                let mut arguments =
                    vec![choices.argument((batch, inputs))?, choices.argument((outputs, inputs))?];
                arguments.extend((0..biased).map(|_| choices.argument(outputs)).collect::<Result<Vec<_>>>()?);
                assert_twins(
                    &format!("{batch} x {inputs} -> {outputs}, {activation:?}, {biased} bias"),
                    &arguments,
                    |t| gan_ops::linear(&t[0], &t[1], t.get(2), activation),
                    |t| reference::linear(&t[0], &t[1], t.get(2), activation),
                )?;
            }
        }
    }
    Ok(())
}

/// candle cannot compute the gradient of the image in two cases. In one case, the kernel leaves
/// over different numbers of columns and rows, because candle pads both axes by the rows. In the
/// other case, the kernel leaves over more than the image has. So the plain version gets an image
/// without the part that is left over.
fn conv2d_twin(t: &[Tensor], stride: usize, padding: usize, activation: Activation) -> Result<Tensor> {
    let over = |axis| Ok((t[0].dim(axis)? + 2 * padding - t[1].dim(axis)?) % stride);
    let [rows, columns]: [Result<usize>; 2] = [over(2), over(3)];
    let (rows, columns) = (rows?, columns?);
    if rows == columns && rows <= t[0].dim(2)?.min(t[0].dim(3)?) {
        return reference::conv2d(&t[0], &t[1], t.get(2), stride, padding, activation);
    }
    let x = t[0].pad_with_zeros(2, padding, padding)?.pad_with_zeros(3, padding, padding)?;
    let x = x.narrow(2, 0, x.dim(2)? - rows)?.narrow(3, 0, x.dim(3)? - columns)?.contiguous()?;
    reference::conv2d(&x, &t[1], t.get(2), stride, 0, activation)
}

/// A convolution and its transpose (if the image is large enough), with a bias or without.
struct Case {
    /// Samples, channels, height, width.
    image: [usize; 4],
    outputs: usize,
    kernel: [usize; 2],
    stride: usize,
    padding: usize,
    activation: Activation,
}

fn assert_convolutions(choices: &mut Choices, case: &Case) -> Result<()> {
    let Case {
        image: [batch, inputs, height, width],
        outputs,
        kernel: [kh, kw],
        stride,
        padding,
        activation,
    } = *case;
    let what = format!(
        "{batch} x {inputs} x {height} x {width} -> {outputs}, kernel {kh} x {kw}, stride {stride}, padding {padding}, {activation:?}"
    );
    let mut arguments = vec![choices.argument((batch, inputs, height, width))?];
    arguments.push(choices.argument((outputs, inputs, kh, kw))?);
    if choices.of(&[0, 1]) == 1 {
        arguments.push(choices.argument(outputs)?);
    }
    if height + 2 * padding >= kh && width + 2 * padding >= kw {
        assert_twins(
            &format!("conv2d {what}"),
            &arguments,
            |t| {
                // Without the kernels the op is the plain version, and it has the same limits.
                if serves(t[0].device(), t[0].dtype()) {
                    gan_ops::conv2d(&t[0], &t[1], t.get(2), stride, padding, activation)
                } else {
                    conv2d_twin(t, stride, padding, activation)
                }
            },
            |t| conv2d_twin(t, stride, padding, activation),
        )?;
    }
    arguments[1] = choices.argument((inputs, outputs, kh, kw))?;
    if (height - 1) * stride + kh > 2 * padding && (width - 1) * stride + kw > 2 * padding {
        assert_twins(
            &format!("conv_transpose2d {what}"),
            &arguments,
            |t| gan_ops::conv_transpose2d(&t[0], &t[1], t.get(2), stride, padding, activation),
            |t| reference::conv_transpose2d(&t[0], &t[1], t.get(2), stride, padding, activation),
        )?;
    }
    Ok(())
}

#[test]
fn convolutions() -> Result<()> {
    let mut choices = Choices(2);
    let kernels = [[1, 1], [2, 2], [3, 3], [4, 4], [5, 5], [2, 3], [4, 1], [1, 5]];
    for kernel in kernels.into_iter().cycle().take(4 * kernels.len()) {
        for (stride, padding) in (1..=3).flat_map(|stride| (0..=2).map(move |padding| (stride, padding))) {
            let [height, width] = choices.of(&[[5, 7], [5, 7], [4, 4], [1, 1]]);
            let (batch, inputs, outputs) =
                choices.of(&[(1, 1, 1), (1, 3, 20), (37, 1, 3), (37, 3, 1), (37, 17, 18)]);
            let image = [batch, inputs, height, width];
            let activation = choices.of(&ACTIVATIONS);
            let case = Case { image, outputs, kernel, stride, padding, activation };
            assert_convolutions(&mut choices, &case)?;
        }
    }
    Ok(())
}

#[test]
fn convolutions_of_many_channels() -> Result<()> {
    let mut choices = Choices(3);
    for (image, outputs, kernel, stride, padding) in [
        ([70, 33, 8, 14], 40, 4, 2, 1),
        ([1, 130, 4, 6], 32, 4, 2, 1),
        ([3, 64, 14, 14], 70, 4, 2, 1),
        ([17, 1, 28, 28], 64, 4, 2, 1),
        ([37, 100, 1, 1], 40, 7, 1, 0),
        ([37, 40, 7, 7], 1, 7, 1, 0),
        ([17, 65, 5, 7], 40, 3, 1, 1),
    ] {
        let activation = choices.of(&ACTIVATIONS);
        let case = Case { image, outputs, kernel: [kernel; 2], stride, padding, activation };
        assert_convolutions(&mut choices, &case)?;
    }
    Ok(())
}
