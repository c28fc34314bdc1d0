package ledger

// Delivered is how many distinct numbers have come.
func (l *Ledger) Delivered() int64 { return l.delivered }
