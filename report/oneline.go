package report

import "netcmp/result"

// OneLine is a document in a line: how much came, and how late.
func OneLine(d *result.Document) string {
	text := "not known how many came"
	if n := d.Delivery.Delivered; n != nil {
		text = Count(*n) + " of " + Count(d.Delivery.Planned())
	}
	if x := d.Delay; x != nil {
		text += " · p50 " + percentileText(d, x.P50NS) + " · p99 " + percentileText(d, x.P99NS)
	}
	if d.IsDisturbed() {
		text = "disturbed: " + text
	}
	if d.Setup.ConnectNS != nil {
		text += " · set-up " + Duration(*d.Setup.ConnectNS)
	}
	return text
}

// percentileText is a percentile, which is infinite where it falls among the lost.
func percentileText(d *result.Document, v *int64) string {
	switch {
	case v != nil:
		return Duration(*v)
	case positive(missingOf(&d.Measured)):
		return infinite + " (lost)"
	}
	return unknown
}
