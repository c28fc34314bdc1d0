package result

// RateSchema names the layout of RateSearch.
const RateSchema = "netcmp.rate/v1"

// RateSearch is the search for the highest rate at which messages come through
// whole.
type RateSearch struct {
	Schema      string      `json:"schema"`
	Tool        Tool        `json:"tool"`
	Started     string      `json:"started"` // RFC 3339, UTC
	Seed        Uint64      `json:"seed"`
	Proto       string      `json:"proto"`
	Engine      string      `json:"engine"`
	Interrupted bool        `json:"interrupted"`
	Environment Environment `json:"environment"`
	Plan        Plan        `json:"plan"`       // of each trial, but for its rate
	LossLimit   float64     `json:"loss_limit"` // the share that may be lost
	Resolution  float64     `json:"resolution"` // how far above RatePerS the next rate is that does not hold, as a share of it

	RatePerS      *float64 `json:"rate_per_s"` // messages; null where none was found
	GoodputBPS    *float64 `json:"goodput_bps"`
	Confirmations int      `json:"confirmations"` // trials at RatePerS that were whole, beside the one that found it
	// Limit is why the lowest rate that is known not to hold does not: a Fault.
	Limit string `json:"limit"`
	// Saturated is the trial without a rate: as fast as the transport takes
	// messages.
	Saturated RateTrial   `json:"saturated"`
	Trials    []RateTrial `json:"trials"`
}

// RateTrial is what became of one trial.
type RateTrial struct {
	RatePerS  float64  `json:"rate_per_s"` // that was asked for; 0: saturating
	Sent      int64    `json:"sent"`
	Delivered int64    `json:"delivered"`
	LossRatio float64  `json:"loss_ratio"`
	SentPerS  *float64 `json:"sent_per_s"`
	Delivers  *float64 `json:"delivered_per_s"`
	// LagNS is how much later the last message was than the quickest: what the
	// sender was behind, and what stood in queues, at the end.
	LagNS *int64 `json:"lag_ns"`
	// GrowthNS is what the delay grew by over the trial, at its steady slope. Null for
	// the trial that saturates.
	GrowthNS *int64 `json:"growth_ns"`
	// LateNS is how late the sender, or the emulator, was at the worst: of what is late
	// much comes at once, which a short queue may lose.
	LateNS *int64 `json:"late_ns"`
	Fault  string `json:"fault"` // why the rate does not hold; "" if it does
}

// Why a rate does not hold.
const (
	FaultLoss   = "loss"   // more was lost than may be
	FaultLag    = "lag"    // what was sent came later and later
	FaultSender = "sender" // not all of it was sent
)
