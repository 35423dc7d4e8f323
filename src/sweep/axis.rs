//! A linear axis of a plot, with round ticks.

use super::metric::Unit;

/// The least gap between two labels, in pixels.
const LABEL_GAP: f64 = 18.0;

/// A linear axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    /// The values at the two ends.
    pub(super) values: [f64; 2],
    /// The pixels of these values.
    pub(super) pixels: [f64; 2],
    pub(super) unit: Unit,
    /// The values are whole numbers.
    pub(super) is_whole: bool,
}

impl Axis {
    pub(super) fn place(&self, value: f64) -> f64 {
        let ([low, high], [from, to]) = (self.values, self.pixels);
        from + (to - from) * (value - low) / (high - low)
    }

    /// Round values at equal distances, and their labels. The labels have a gap, along the axis, where each has this
    /// `extent`: its width or height.
    pub(super) fn ticks(&self, extent: fn(&str) -> f64) -> Vec<(f64, String)> {
        let [low, high] = self.values;
        let length = (self.pixels[1] - self.pixels[0]).abs();
        let first_power = ((high - low) / length).log10().floor() as i32;
        let steps = (first_power..).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| (digit, power)));
        for (digit, power) in steps.take(60) {
            let step = round_number(digit, power);
            if self.is_whole && step < 1.0 {
                continue;
            }
            let (from, to) = ((low / step).ceil() as i64, (high / step).floor() as i64);
            if (to - from) as f64 * LABEL_GAP > length {
                continue;
            }
            let ticks: Vec<_> = (from..=to)
                .map(|n| round_number(n as f64 * digit, power))
                .map(|value| (value, self.unit.label(value, high)))
                .collect();
            let widest = ticks.iter().map(|(_, label)| extent(label)).fold(0.0, f64::max);
            if length * step / (high - low) >= widest + LABEL_GAP {
                return ticks;
            }
        }
        Vec::new()
    }
}

/// `digits` × 10 to this `power`. A division by a whole number rounds once: 3 / 10 is 0.3.
fn round_number(digits: f64, power: i32) -> f64 {
    if power < 0 { digits / 10f64.powi(-power) } else { digits * 10f64.powi(power) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::picture::text_width;

    #[track_caller]
    fn assert_ticks(values: [f64; 2], length: f64, unit: Unit, is_whole: bool, expected: &str) {
        let axis = Axis { values, pixels: [10.0, 10.0 + length], unit, is_whole };
        let ticks = axis.ticks(text_width);
        let labels: Vec<_> = ticks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels.join(" | "), expected);
        for pair in ticks.windows(2) {
            let room = axis.place(pair[1].0) - axis.place(pair[0].0);
            assert!(room > text_width(&pair[0].1), "{pair:?}");
        }
    }

    #[test]
    fn ticks_are_round_and_leave_room_for_their_labels() {
        let s = Unit::Seconds;
        assert_ticks(
            [0.0, 1.0],
            600.0,
            s,
            false,
            "0 s | 0.1 s | 0.2 s | 0.3 s | 0.4 s | 0.5 s | 0.6 s | 0.7 s | 0.8 s | 0.9 s | 1 s",
        );
        assert_ticks([0.1, 0.95], 300.0, s, false, "200 ms | 400 ms | 600 ms | 800 ms");
        assert_ticks([0.0, 2e-9], 300.0, s, false, "0 ns | 0.5 ns | 1 ns | 1.5 ns | 2 ns");
        assert_ticks([0.8, 4.2], 900.0, Unit::Number, true, "1 | 2 | 3 | 4");
        assert_ticks([0.0, 1.0], 200.0, Unit::Share, false, "0 % | 50 % | 100 %");
        assert_ticks([0.0, 1e18], 300.0, Unit::Number, true, "0 | 1000000000000000000");
    }

    #[test]
    fn the_ends_of_an_axis_have_their_pixels() {
        let axis = Axis {
            values: [1.0, 3.0],
            pixels: [500.0, 100.0],
            unit: Unit::Number,
            is_whole: false,
        };
        assert_eq!([1.0, 2.0, 3.0].map(|value| axis.place(value)), [500.0, 300.0, 100.0]);
    }
}
