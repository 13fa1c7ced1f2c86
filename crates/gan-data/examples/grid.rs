//! Writes ten digits of each class, a row for each, to a PNG: `cargo example grid [PATH]`.

use std::error::Error;

use candle_core::Device;
use gan_data::{GridBuilder, Range, mnist_5k, normalize};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).unwrap_or_else(|| "digits.png".into());
    let digits = mnist_5k()?;
    let labels = digits.labels().ok_or("the digits have no labels")?;
    let size = digits.size();
    let mut grid = GridBuilder::new(100, 10, 1, size, size)?;
    for class in 0..10 {
        let of_class = (0..digits.len()).filter(|&index| labels[index] == class);
        let row: Vec<u8> = of_class.take(10).flat_map(|index| digits.image(index).into_owned()).collect();
        grid.push(&normalize::to_tensor(&row, (10, 1, size, size), Range::MinusOneOne, &Device::Cpu)?)?;
    }
    grid.finish().save_png(path)?;
    Ok(())
}
