package result

// StoodStill is the lateness, in ns, from which on a sender or the emulator was kept
// from its work by the machine: on two quiet cores both stay far below it.
const StoodStill = 2_000_000

// LateNS is how late the senders or the emulator were with anything, at the worst; nil
// where neither is known.
func (d *Document) LateNS() (late *int64) {
	all := []*Quantiles{d.Instrument.PacingErrorNS}
	if d.Reverse != nil {
		all = append(all, d.Reverse.Instrument.PacingErrorNS)
	}
	if d.Link != nil {
		all = append(all, d.Link.Up.DelayErrorNS, d.Link.Down.DelayErrorNS)
	}
	for _, q := range all {
		if q != nil && (late == nil || q.Max > *late) {
			late = &q.Max
		}
	}
	return late
}
