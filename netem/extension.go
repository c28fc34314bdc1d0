package netem

// Extensions names what of the impairment tc does not know, in the words of its
// specification; nil if tc can make this path. Who prints tc commands refuses
// them.
func (i Impairment) Extensions() []string {
	i = i.canonical()
	var all []string
	if i.NoReorder {
		all = append(all, "noreorder")
	}
	if _, ok := i.Distribution.File(); ok {
		all = append(all, "distribution "+i.Distribution.String())
	}
	if l, ok := i.Loss.(LossList); ok {
		all = append(all, "loss "+l.String())
	}
	if i.Queue.Kind != FIFO {
		all = append(all, "queue "+string(i.Queue.Kind))
	}
	if i.Trace != "" {
		all = append(all, "trace "+i.Trace)
	}
	if _, ok := i.Slot.Distribution.File(); ok {
		all = append(all, "slot distribution "+i.Slot.Distribution.String())
	}
	return all
}
