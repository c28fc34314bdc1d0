package result

// ComparisonSchema names the layout of Comparison.
const ComparisonSchema = "netcmp.compare/v1"

// Comparison is what the same messages over several protocols showed: every
// trial, and what the trials allow to be said. All but Trials and Plan is
// computed from them, so it can be computed again.
type Comparison struct {
	Schema      string         `json:"schema"`
	Tool        Tool           `json:"tool"`
	Started     string         `json:"started"` // of the first trial
	Interrupted bool           `json:"interrupted"`
	Plan        ComparisonPlan `json:"plan"`
	Warnings    []string       `json:"warnings"`
	Verdict     []string       `json:"verdict"` // sentences
	Table       []Figure       `json:"table"`
	Differences []Difference   `json:"differences"`
	Usable      []Curve        `json:"usable"`
	// Repeated counts trials that were made again because this machine had disturbed
	// them; Disturbed those of Trials that it still disturbs. By these nothing is judged.
	Repeated  int         `json:"repeated"`
	Disturbed int         `json:"disturbed"`
	Trials    []*Document `json:"trials"`
}

// ComparisonPlan is what was to be compared.
type ComparisonPlan struct {
	Arms    []string `json:"arms"`   // in the order they were asked for
	Repeat  int      `json:"repeat"` // blocks: in each of them every arm has one trial, all with one seed
	Seed    Uint64   `json:"seed"`
	Command string   `json:"command"`
}

// Trial says which part of a comparison a document is.
type Trial struct {
	Arm        string          `json:"arm"`
	Block      int             `json:"block"` // from 0
	Comparison *ComparisonPlan `json:"comparison"`
}

// Figure is one metric of one arm: the median of its trials, and the interval
// that holds the true median with 95 % confidence, from order statistics. The
// interval is null where there are too few trials for one (below 6).
type Figure struct {
	Metric   string   `json:"metric"`
	Arm      string   `json:"arm"`
	N        int      `json:"n"`
	Median   *float64 `json:"median"`
	CILow    *float64 `json:"ci_low"`
	CIHigh   *float64 `json:"ci_high"`
	Infinite bool     `json:"infinite,omitempty"` // the median is ∞: so many messages were lost
}

// Difference is one metric of two arms: the median of A − B over the blocks.
type Difference struct {
	Metric     string   `json:"metric"`
	A          string   `json:"a"`
	B          string   `json:"b"`
	N          int      `json:"n"` // blocks that have both
	Difference *float64 `json:"difference"`
	CILow      *float64 `json:"ci_low"`
	CIHigh     *float64 `json:"ci_high"`
	P          *float64 `json:"p"`       // Mann-Whitney, two-sided, not yet corrected for the number of metrics
	Verdict    string   `json:"verdict"` // which is better: "a", "b", or "cannot tell"
}

// CannotTell is the verdict where the trials do not decide.
const CannotTell = "cannot tell"

// Curve is the share of an arm's messages that were usable within a deadline: a
// lost message never was. Ratio is the median over the blocks.
type Curve struct {
	Arm    string       `json:"arm"`
	Points []CurvePoint `json:"points"`
}

// CurvePoint is one deadline.
type CurvePoint struct {
	WithinNS int64   `json:"within_ns"`
	Ratio    float64 `json:"ratio"`
	Low      float64 `json:"low"` // least and greatest of the blocks
	High     float64 `json:"high"`
}
