//! Values: where they come from, and how they are merged for a chart and its subcharts.
