//! Medians and quartiles of small samples.

/// The value at `fraction` (0 to 1) of the sorted sample, interpolated; 0 for an empty one.
pub(crate) fn quantile(values: &[f64], fraction: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let position = fraction.clamp(0.0, 1.0) * last as f64;
    let below = position.floor();
    let at = |index: f64| sorted.get(index as usize).copied().unwrap_or(0.0);
    let (low, high) = (at(below), at(below + 1.0));
    if below as usize >= last { at(last as f64) } else { low + (high - low) * (position - below) }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The middle half: lower and upper quartile.
pub(crate) fn middle_half(values: &[f64]) -> (f64, f64) {
    (quantile(values, 0.25), quantile(values, 0.75))
}

pub(crate) fn range(values: &[f64]) -> (f64, f64) {
    (quantile(values, 0.0), quantile(values, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_and_do_not_mind_order() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert!((median(&values) - 2.5).abs() < 1e-9);
        assert_eq!(middle_half(&values), (1.75, 3.25));
        assert_eq!(range(&values), (1.0, 4.0));
        assert!((median(&[7.0]) - 7.0).abs() < 1e-9);
        assert!(median(&[]).abs() < 1e-9);
    }
}
