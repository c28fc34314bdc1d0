package report

// figureNames are what a reader calls the metrics of a comparison.
var figureNames = map[string]string{
	"delivery_ratio":     "delivered",
	"reordered_ratio":    "reordered",
	"delay_p50_ns":       "delay p50",
	"delay_p99_ns":       "delay p99",
	"held_ratio":         "head-of-line blocked",
	"first_message_ns":   "first message after",
	"goodput_bps":        "goodput",
	"overhead_ratio":     "on the wire",
	"send_calls_ns":      "CPU in the send call",
	"receive_calls_ns":   "CPU in the receive call",
	"cpu_per_message_ns": "CPU of both processes",
}

// FigureName is what a reader calls a metric of a comparison.
func FigureName(metric string) string {
	if name, ok := figureNames[metric]; ok {
		return name
	}
	return printable(metric)
}

// FigureText writes a value of a metric with its unit, which the metric's name
// tells.
func FigureText(metric string, v float64) string {
	switch quantityOf(path{keys: []string{metric}}) {
	case timeQuantity:
		return Duration(int64(v))
	case rateQuantity:
		return BitRate(v)
	case shareQuantity:
		if metric == "overhead_ratio" {
			return significant(v) + " ×"
		}
		return Percent(v)
	}
	return plain(v)
}
