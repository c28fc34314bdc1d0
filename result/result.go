// Package result is the result document of one experiment, schema
// netcmp.result/v1: what was asked, what was measured, and what the
// instrument says of itself.
//
// Times are integer nanoseconds, sizes are bytes, ratios lie between 0 and 1.
// A quantity that was not measured is null, never 0: such fields are
// pointers.
package result

// Schema names the layout of Document.
const Schema = "netcmp.result/v1"

// Document is the result of one experiment.
type Document struct {
	Schema      string      `json:"schema"`
	Tool        Tool        `json:"tool"`
	Started     string      `json:"started"` // RFC 3339, UTC
	Seed        Uint64      `json:"seed"`
	Proto       string      `json:"proto"`
	Engine      string      `json:"engine"`
	Interrupted bool        `json:"interrupted"` // ended before its plan was carried out
	Warnings    []string    `json:"warnings"`
	Trust       *Trust      `json:"trust"` // null in documents of versions that did not measure it
	Environment Environment `json:"environment"`
	Plan        Plan        `json:"plan"`
	Setup       Setup       `json:"setup"`

	// The measured direction: up, or down where the plan says so; of
	// request-response the round trip. With direction "both" these sections
	// tell of up, and Reverse tells of down.
	Measured

	Reverse *Measured `json:"reverse,omitempty"`
	Wire    *Wire     `json:"wire"`
	Cost    Cost      `json:"cost"`
	Link    *Link     `json:"link"`
	TCPInfo *TCPInfo  `json:"tcp_info"`
	QUIC    *QUIC     `json:"quic"`
	Sockets Sockets   `json:"sockets"`
	Capture *Capture  `json:"capture"`         // null where the lab's packets were not looked at
	Trial   *Trial    `json:"trial,omitempty"` // of a comparison
}

// Measured is the account of one stream of numbered messages.
type Measured struct {
	Delivery   Delivery   `json:"delivery"`
	Account    *Account   `json:"account"`
	Loss       *Loss      `json:"loss"`
	Order      *Order     `json:"order"`
	Delay      *Delay     `json:"delay"`
	Stall      *Stall     `json:"stall"`
	ReadLate   *ReadLate  `json:"read_late"` // null where the packets do not show it
	Deadline   []Deadline `json:"deadline"`
	Speed      Speed      `json:"speed"`
	Instrument Instrument `json:"instrument"`
	Intervals  []Interval `json:"intervals"`
	Anatomy    *Anatomy   `json:"anatomy"`            // null where the packets were not looked at, or do not show it
	Messages   *Messages  `json:"messages,omitempty"` // where they were asked for
}

// NumberRuns are ascending numbers, those in a row as [first, last].
type NumberRuns [][2]int64

// Add adds a number that is above all others.
func (r *NumberRuns) Add(n int64) {
	if last := len(*r) - 1; last >= 0 && (*r)[last][1] == n-1 {
		(*r)[last][1] = n
		return
	}
	*r = append(*r, [2]int64{n, n})
}

// Messages is what became of each message: the i-th entry is number i's.
type Messages struct {
	PlannedNS []int64 `json:"planned_ns"` // from the beginning of the run; −1: not known
	DelayNS   []int64 `json:"delay_ns"`   // of the first copy, from the planned time; −1: it did not come
	// Held lists the numbers that Stall counts as held, where the transport can
	// hold any.
	Held NumberRuns `json:"held,omitempty"`
	// The parts of DelayNS (see Anatomy), where they are known; −1: not of this
	// message.
	WaitingNS  []int64 `json:"waiting_ns,omitempty"`
	CrossingNS []int64 `json:"crossing_ns,omitempty"`
	HeldNS     []int64 `json:"held_ns,omitempty"`
	BlockedNS  []int64 `json:"blocked_ns,omitempty"`
	ReadLateNS []int64 `json:"read_late_ns,omitempty"`
}

// Capture is what the capture of the lab's packets says of itself.
type Capture struct {
	Missed int64 `json:"missed"` // frames, each a packet or a GSO batch of several, that found no room in its rings; with any there is no Anatomy
}

// Anatomy splits each message's delay in three parts, which add up to it to the
// nanosecond: waiting to be sent, from its planned time to the first transmission
// of its last byte at the sender's device; crossing, recovery from losses
// included, until all of it has come in by the receiver's device for the first
// time; and held back there until the application had read it. The packets show
// them, so it is of tcp and udp alone: what is encrypted does not say where a
// message ends.
type Anatomy struct {
	Messages     int64       `json:"messages"` // that were split: of the first MaxMessages those that came and were seen on their whole way
	WaitingNS    *Quantiles  `json:"waiting_ns"`
	CrossingNS   *Quantiles  `json:"crossing_ns"`
	HeldNS       *Quantiles  `json:"held_ns"`
	BlockedNS    *Quantiles  `json:"blocked_ns"`     // of HeldNS: an earlier message was missing; 0 for a transport that does not order messages
	ReadLateNS   *Quantiles  `json:"read_late_ns"`   // of HeldNS: the rest, until the receiving process read the message
	Slowest      []Dissected `json:"slowest"`        // the slowest first
	ClockErrorNS int64       `json:"clock_error_ns"` // of the wall clock, by which packets are stamped, against the messages' clock
}

// Dissected is a message's delay in its parts.
type Dissected struct {
	Number     int64 `json:"number"`
	WaitingNS  int64 `json:"waiting_ns"`
	CrossingNS int64 `json:"crossing_ns"`
	HeldNS     int64 `json:"held_ns"`
	BlockedNS  int64 `json:"blocked_ns"`
	ReadLateNS int64 `json:"read_late_ns"`
}

// MaxMessages bounds Messages: of later numbers nothing is kept.
const MaxMessages = 1 << 20

// Tool says which program wrote the document.
type Tool struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
}

// Environment is the machine the experiment ran on.
type Environment struct {
	OS                string `json:"os"`
	Kernel            string `json:"kernel"`
	Arch              string `json:"arch"`
	CPUs              int    `json:"cpus"`
	GoVersion         string `json:"go"`
	CongestionDefault string `json:"congestion_default"` // net.ipv4.tcp_congestion_control
	// What the machine's processors did during the run: the share of time that
	// they were busy, with whatever, and the share that a hypervisor kept from
	// them.
	BusyRatio   *float64 `json:"busy_ratio"`
	StolenRatio *float64 `json:"stolen_ratio"`
}

// Plan is the experiment as it was really run.
type Plan struct {
	Count       int64        `json:"count"` // messages scheduled a direction; 0: bounded by DurationNS alone
	DurationNS  int64        `json:"duration_ns"`
	SizeBytes   int          `json:"size_bytes"` // of one message, header included
	RatePerS    float64      `json:"rate_per_s"` // 0: saturate
	Saturate    bool         `json:"saturate"`
	Arrival     string       `json:"arrival"`
	Burst       int          `json:"burst,omitempty"`
	Direction   string       `json:"direction"`
	Pattern     string       `json:"pattern"`
	Connection  string       `json:"connection"`
	NetemUp     string       `json:"netem_up"`   // tc netem arguments; "" is a clean path
	NetemDown   string       `json:"netem_down"` //
	Fate        string       `json:"fate"`       // losses go by "packet" or by "time"
	Timeline    []PlanChange `json:"timeline,omitempty"`
	PathDefault bool         `json:"path_default"` // no path flag was given
	Congestion  string       `json:"congestion"`   // as read back from the socket; "" where the protocol has none
	// Resume: the connection resumes a session that another one began before,
	// which is in no account. In the lab that one crossed the path while it was
	// clean; losses, counts and the timeline begin after it.
	Resume        bool   `json:"resume"`
	NoDelay       bool   `json:"no_delay"`
	NoBatch       bool   `json:"no_batch"`       // a system call a message
	SendBuffer    int    `json:"send_buffer"`    // asked for; 0: the system's default
	ReceiveBuffer int    `json:"receive_buffer"` //
	Command       string `json:"command"`        // the command line that makes this experiment again
}

// PlanChange is the path's conditions from an instant on, counted from the
// first packet that crosses it.
type PlanChange struct {
	AtNS      int64  `json:"at_ns"`
	NetemUp   string `json:"netem_up"`
	NetemDown string `json:"netem_down"`
}

// Setup is what had to happen before the first message. With early data (0-RTT)
// messages are sent at ConnectNS, under keys of the session before (RFC 9001
// §4.6): they are encrypted, but whoever keeps them can send them once more. From
// SecureNS on, a round trip later, the keys are this connection's own.
//
// Where each message has a connection of its own, ConnectNS and SecureNS are the
// medians of theirs, and what a connection took is in its message's delay.
type Setup struct {
	ConnectNS *int64 `json:"connect_ns"` // connect begun → the client may send; null where there is no handshake
	// FirstMessageNS: connect begun → first message delivered, without the time in
	// which the ends agree on the start over their own channel.
	FirstMessageNS *int64 `json:"first_message_ns"`
	SecureNS       *int64 `json:"secure_ns"`  // connect begun → the handshake that encrypts is done
	Resumed        *bool  `json:"resumed"`    // that handshake resumed a session; null where there is none
	EarlyData      *bool  `json:"early_data"` // messages may be sent before it is done, and the server takes them; null where the protocol has no such thing
	// Connections are those of a connection a message; null for one connection.
	Connections *Connections `json:"connections"`
}

// Connections counts connections that carried a message each.
type Connections struct {
	Opened    int64      `json:"opened"`
	Failed    int64      `json:"failed"`     // that could not be made, or broke with their message
	ConnectNS *Quantiles `json:"connect_ns"` // as those of Setup
	SecureNS  *Quantiles `json:"secure_ns"`
}

// Trust verdicts.
const (
	Good      = "good"
	Disturbed = "disturbed"
)

// Trust says whether the machine that measured disturbed the figures.
type Trust struct {
	Verdict string   `json:"verdict"`  // Good or Disturbed
	WorstNS int64    `json:"worst_ns"` // the longest time that the machine may have added to one message's delay
	Reasons []string `json:"reasons"`  // one sentence each; empty where Verdict is Good
}

// IsDisturbed reports whether the machine disturbed the run, so that nothing may be
// judged by it.
func (d *Document) IsDisturbed() bool { return d.Trust != nil && d.Trust.Verdict == Disturbed }

// Delivery counts messages. Due counts the planned messages that the user did not
// cut off: all of them, unless the run was interrupted. Received counts every whole
// message that arrived, duplicates included; Delivered counts distinct numbers;
// Lost = Sent − Delivered (RFC 7680: corrupted is lost, duplicated is received).
// Unsent = Due − Sent: messages that the transport did not accept before the run
// ended. Each of them is infinitely late, like a lost one.
type Delivery struct {
	Scheduled  int64    `json:"scheduled"`
	Due        int64    `json:"due"`
	Sent       int64    `json:"sent"`
	Unsent     int64    `json:"unsent"`
	Received   *int64   `json:"received"`
	Delivered  *int64   `json:"delivered"`
	Lost       *int64   `json:"lost"`
	Duplicated *int64   `json:"duplicated"` // further copies of a delivered number
	Corrupted  *int64   `json:"corrupted"`  // damaged messages that reached the receiver's host: found by the checksum of the message, or thrown away by the host's own checksums
	Late       *int64   `json:"late"`       // delivered, but after the longest deadline
	Ratio      *float64 `json:"ratio"`      // Delivered/Due
}

// Planned returns the number of messages that ratios and percentiles refer to: Due.
// Documents of versions without that field refer to Sent.
func (d Delivery) Planned() int64 { return max(d.Due, d.Sent) }

// Account says where every message that was due and not delivered went:
// due = delivered + unsent + link_lost + queue_dropped + receiver_dropped + in_flight + unexplained.
// Of a protocol that retransmits only Unsent is known; the other fields are null.
type Account struct {
	Unsent          *int64 `json:"unsent"`         // never accepted by the transport
	LinkLost        *int64 `json:"link_lost"`      // lost or damaged by the path
	LinkCorrupted   *int64 `json:"link_corrupted"` // of LinkLost: damaged
	QueueDropped    *int64 `json:"queue_dropped"`  // the path's queue was full
	ReceiverDropped *int64 `json:"receiver_dropped"`
	// Of request-response: which way the lost were lost. The two make up the lost,
	// whatever lost them; between two machines, too.
	RequestsLost *int64 `json:"requests_lost"`
	RepliesLost  *int64 `json:"replies_lost"`
	InFlight     *int64 `json:"in_flight"` // still in the path when the run gave up waiting
	Unexplained  *int64 `json:"unexplained"`
}

// Loss describes the pattern of loss (RFC 3357).
type Loss struct {
	Periods      int64           `json:"periods"`      // runs of consecutive lost numbers
	PeriodMax    int64           `json:"period_max"`   // the longest run
	PeriodMean   *float64        `json:"period_mean"`  // null without loss
	Lengths      map[int64]int64 `json:"lengths"`      // run length → how many runs (lengths over 1000 count as 1000)
	DistanceMin  *int64          `json:"distance_min"` // between successive losses, in numbers; null below two losses
	DistanceMean *float64        `json:"distance_mean"`
	// Numbers lists the lost numbers, the first MaxLossRuns runs of them.
	Numbers   NumberRuns `json:"numbers"`
	Truncated bool       `json:"truncated"`
}

// MaxLossRuns bounds Loss.Numbers.
const MaxLossRuns = 4096

// Order tells how far the order of arrival differed from the order of
// sending (RFC 4737, RFC 5236).
type Order struct {
	Reordered      int64              `json:"reordered"`
	ReorderedRatio *float64           `json:"reordered_ratio"` // of received without duplicates
	ExtentMax      int64              `json:"extent_max"`      // messages
	ExtentMean     *float64           `json:"extent_mean"`     // over the reordered; null without any
	LateTimeNS     *Quantiles         `json:"late_time_ns"`    // RFC 4737 §4.3; null without any
	NReordering    []float64          `json:"n_reordering"`    // [n−1]: share of messages that are n-reordered
	FreeRuns       *Runs              `json:"free_runs"`
	Density        map[string]float64 `json:"density"` // RFC 5236: displacement → share
}

// Runs summarises RFC 4737 §4.5 reordering-free runs.
type Runs struct {
	Count int64    `json:"count"` // runs that ended at a reordered message
	Mean  *float64 `json:"mean"`  // messages accepted in runs / runs (a/n)
	// QuadraticMean is q/a: the mean run length met by a message.
	QuadraticMean *float64 `json:"quadratic_mean"`
	Max           int64    `json:"max"`
}

// Quantiles of a distribution, in the unit of the field's name.
type Quantiles struct {
	P50 int64 `json:"p50"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

// Delay is the distribution of one-way delay from the planned send time (of
// request-response: of the round trip). A lost message is infinitely late
// inside the percentiles: a percentile that falls among the lost is null.
type Delay struct {
	MinNS     *int64 `json:"min_ns"`
	MeanNS    *int64 `json:"mean_ns"` // of the delivered
	P50NS     *int64 `json:"p50_ns"`
	P90NS     *int64 `json:"p90_ns"`
	P99NS     *int64 `json:"p99_ns"`
	P999NS    *int64 `json:"p999_ns"`
	MaxNS     *int64 `json:"max_ns"` // of the delivered
	StddevNS  *int64 `json:"stddev_ns"`
	JitterNS  *int64 `json:"jitter_ns"`   // RFC 3550 §6.4.1, at the end of the run
	IPDVP50NS *int64 `json:"ipdv_p50_ns"` // |IPDV| of successive numbers (RFC 3393)
	IPDVP99NS *int64 `json:"ipdv_p99_ns"`
	// Distribution is how many of the delivered had which delay, in bins that are
	// at most 1/64 wide: [the greatest delay of the bin, messages], ascending.
	Distribution [][2]int64 `json:"distribution,omitempty"`
}

// Stall tells of waiting. Held is null for a transport that does not order
// messages, since nothing can be held back there.
type Stall struct {
	LongestSilenceNS *int64     `json:"longest_silence_ns"` // longest gap between deliveries of new messages
	Held             *int64     `json:"held"`               // messages that had arrived and had to wait for more than a millisecond
	HeldNS           *Quantiles `json:"held_ns"`
	ReleasedMax      *int64     `json:"released_max"` // most messages released together
	Exact            bool       `json:"exact"`        // by the packets (Anatomy); false: estimated from arrival times
}

// ReadLate counts messages that had arrived in order, with none missing before them,
// and that the receiving process read more than a millisecond later. That delay is
// the instrument's, not the protocol's.
type ReadLate struct {
	Messages int64      `json:"messages"`
	NS       *Quantiles `json:"ns"` // of those messages; null without any
}

// Deadline is the share of due messages that arrived within a time.
type Deadline struct {
	WithinNS    int64    `json:"within_ns"`
	InTimeRatio *float64 `json:"in_time_ratio"`
}

// Speed of delivery, from the first planned send time to the end of the plan or to
// the last delivery, whichever is later. Without at least two messages and a
// duration there is no rate, and the fields are null.
type Speed struct {
	DurationNS *int64   `json:"duration_ns"`
	GoodputBPS *float64 `json:"goodput_bps"` // payload delivered for the first time (RFC 5166), header of the message included
	MessagesPS *float64 `json:"messages_per_s"`
}

// Instrument is the instrument's own error.
type Instrument struct {
	PacingErrorNS *Quantiles `json:"pacing_error_ns"` // handed over − planned, where the transport was free to take it
	// PacingErrorMeanNS is the mean of the same.
	PacingErrorMeanNS *int64 `json:"pacing_error_mean_ns"`
	// OverdueSends are those of a paced schedule that were late by its interval, 1/rate,
	// or more, though the transport was free. A sender that waits for its turn, as irtt's
	// does, leaves such out.
	OverdueSends int64 `json:"overdue_sends"`
	BlockedSends int64 `json:"blocked_sends"` // sends that were late because the transport did not take the message before
	MissedSends  int64 `json:"missed_sends"`  // scheduled and never sent
	// LatenessNS is how late this machine ran the parts of the instrument.
	LatenessNS *Lateness `json:"lateness_ns"`
	SpunNS     int64     `json:"spun_ns"` // processor time that the sender spent on being punctual; not in Cost
	Clock      Clock     `json:"clock"`
}

// Lateness is how late the sending process, the emulated path and the receiving
// process did their work. A part that was not measured is null.
//
// Each is the greater of two measures, quantile by quantile: how late the process did
// what was due, and how late the kernel ran it when it was sampled (package lateness).
// The second one also sees what delays messages of which the first one knows nothing,
// such as those that a stopped sender had not yet handed over.
type Lateness struct {
	Sender   *Tail `json:"sender"`   // handed over − planned, where the transport was free to accept the message
	Path     *Tail `json:"path"`     // handed on − due, in the emulator
	Receiver *Tail `json:"receiver"` // read by the process − received by the kernel
}

// Tail is the upper end of a distribution, in the unit of the field's name.
type Tail struct {
	P50  int64 `json:"p50"`
	P90  int64 `json:"p90"`
	P99  int64 `json:"p99"`
	P999 int64 `json:"p999"`
	Max  int64 `json:"max"`
}

// Clock says which clock one-way delay was measured on.
type Clock struct {
	Source string `json:"source"`
	// DriftRatio is how much faster the receiver's clock runs, as a share; null where
	// that was not found out. Samples is how often the clocks were compared.
	DriftRatio    *float64 `json:"drift_ratio"`
	Samples       int      `json:"samples"`
	OffsetNS      *Int64   `json:"offset_ns"`
	UncertaintyNS *Int64   `json:"uncertainty_ns"`
}

// Interval is one stretch of the run. Delivered, goodput and delay are of the
// messages that arrived in it; Lost are those planned in it and never delivered.
type Interval struct {
	AtNS       int64   `json:"at_ns"`     // its beginning, from the start of the run
	LengthNS   int64   `json:"length_ns"` // the last one ends with the run
	Delivered  int64   `json:"delivered"`
	Lost       *int64  `json:"lost"`
	GoodputBPS float64 `json:"goodput_bps"`
	DelayP50NS *int64  `json:"delay_p50_ns"`
	DelayP99NS *int64  `json:"delay_p99_ns"`
}

// Wire counts what crossed the path, Ethernet headers included, before the
// path did anything to it.
type Wire struct {
	UpPackets     *int64   `json:"up_packets"`
	UpBytes       *int64   `json:"up_bytes"`
	DownPackets   *int64   `json:"down_packets"`
	DownBytes     *int64   `json:"down_bytes"`
	OverheadRatio *float64 `json:"overhead_ratio"` // all bytes of both directions / message bytes delivered
	Retransmitted *int64   `json:"retransmitted"`  // segments; null where the protocol has none
}

// Cost is the CPU time, user and system, of each end's process over the run,
// without what the sender spent on being punctual (Instrument.SpunNS), and without
// the connection's beginning, unless messages left with it (Setup.EarlyData).
//
// SendCallsNS and ReceiveCallsNS are the protocol's part of it. They count thread CPU
// time inside the calls into the transport, per message. They are null for a protocol
// that does its work in threads of its own, as QUIC does.
type Cost struct {
	SendCallsNS    *int64 `json:"send_calls_ns"`
	ReceiveCallsNS *int64 `json:"receive_calls_ns"`
	// CallErrorNS is the CPU time of reading the clock around one call, already
	// subtracted: figures below it mean nothing.
	CallErrorNS             *int64 `json:"call_error_ns"`
	InstrumentNS            *int64 `json:"instrument_ns"` // CPU time of both processes outside these calls
	SenderCPUNS             *int64 `json:"sender_cpu_ns"`
	ReceiverCPUNS           *int64 `json:"receiver_cpu_ns"`
	SenderCPUPerMessageNS   *int64 `json:"sender_cpu_per_message_ns"`
	ReceiverCPUPerMessageNS *int64 `json:"receiver_cpu_per_message_ns"`
	PathCPUNS               *int64 `json:"path_cpu_ns"` // the emulator's own
}

// Link is the lab's ground truth.
type Link struct {
	Up   LinkDirection `json:"up"`
	Down LinkDirection `json:"down"`
}

// LinkDirection counts packets of one direction. Conservation:
// Packets + Duplicated = Lost + QueueDropped + Delivered + InFlight.
//
// The kernel's netem counts what it lost and what found its queue full
// together, and what it sent ahead not at all: where only the sum is known, it
// is Lost, and the other is null.
type LinkDirection struct {
	Packets      int64  `json:"packets"`
	Bytes        int64  `json:"bytes"`
	Lost         int64  `json:"lost"`
	QueueDropped *int64 `json:"queue_dropped"`
	Duplicated   int64  `json:"duplicated"`
	Corrupted    int64  `json:"corrupted"`
	Reordered    *int64 `json:"reordered"` // sent ahead by the reorder impairment
	Marked       int64  `json:"marked"`    // told of congestion (ECN) where they would have been lost
	Delivered    int64  `json:"delivered"`
	InFlight     int64  `json:"in_flight"`
	Overrun      int64  `json:"overrun"`  // frames, each a packet or a train of them, that came faster than the emulator could take them; not in Packets
	Oversize     int64  `json:"oversize"` // frames longer than the MTU of the device that was to take them; not in Packets where a host sent them
	Strays       int64  `json:"strays"`   // link-local traffic (neighbour discovery…) that passes untouched; not in Packets
	Refused      int64  `json:"refused"`  // of Delivered: packets that the receiving host's device did not take
	// The fate of whole IP datagrams, fragments taken together and copies
	// taken together: what a datagram protocol's messages met.
	Datagrams    Datagrams  `json:"datagrams"`
	DelayErrorNS *Quantiles `json:"delay_error_ns"` // handed on − due
	LatenessNS   *Tail      `json:"lateness_ns"`    // of the path: see Lateness
	QueueDelayNS *Quantiles `json:"queue_delay_ns"` // waiting for the bottleneck, own transmission excluded; null without one
}

// Datagrams partitions the IP datagrams that entered a direction.
type Datagrams struct {
	Entered      int64  `json:"entered"`
	Intact       int64  `json:"intact"`
	Lost         int64  `json:"lost"`
	QueueDropped *int64 `json:"queue_dropped"` // null as in LinkDirection
	Corrupted    int64  `json:"corrupted"`
}

// TCPInfo is what the sending stack reports at the end (tcp(7), TCP_INFO).
type TCPInfo struct {
	State           string `json:"state"`
	RTTNS           int64  `json:"rtt_ns"`
	RTTVarNS        int64  `json:"rttvar_ns"`
	MinRTTNS        int64  `json:"min_rtt_ns"`
	RTONS           int64  `json:"rto_ns"`
	SndCwnd         uint32 `json:"snd_cwnd"`
	SndSsthresh     uint32 `json:"snd_ssthresh"`
	SndMSS          uint32 `json:"snd_mss"`
	RcvMSS          uint32 `json:"rcv_mss"`
	SegsOut         uint32 `json:"segs_out"`
	SegsIn          uint32 `json:"segs_in"`
	BytesSent       uint64 `json:"bytes_sent"`
	BytesRetrans    uint64 `json:"bytes_retrans"`
	TotalRetrans    uint32 `json:"total_retrans"`
	Lost            uint32 `json:"lost"`
	Reordering      uint32 `json:"reordering"`
	DSACKDups       uint32 `json:"dsack_dups"`
	DeliveryRateBPS uint64 `json:"delivery_rate_bps"`
	BusyTimeNS      int64  `json:"busy_time_ns"`
	RwndLimitedNS   int64  `json:"rwnd_limited_ns"`
	SndbufLimitedNS int64  `json:"sndbuf_limited_ns"`
}

// QUIC is what the sending end's QUIC reports at the end. Bytes and packets are
// QUIC's own: without the headers of UDP and IP, and a packet that shares a
// datagram with another counts for itself.
type QUIC struct {
	Version                 string `json:"version"`
	RTTNS                   int64  `json:"rtt_ns"` // smoothed (RFC 9002 §5.3)
	RTTVarNS                int64  `json:"rttvar_ns"`
	MinRTTNS                int64  `json:"min_rtt_ns"`
	CongestionWindow        int64  `json:"congestion_window"` // bytes
	PacketsSent             int64  `json:"packets_sent"`
	BytesSent               int64  `json:"bytes_sent"`
	PacketsReceived         int64  `json:"packets_received"`
	BytesReceived           int64  `json:"bytes_received"`
	PacketsLost             int64  `json:"packets_lost"` // that the sender took for lost (RFC 9002 §6.1)
	BytesLost               int64  `json:"bytes_lost"`
	SegmentationOffload     bool   `json:"segmentation_offload"`
	DatagramsSentPackets    *int64 `json:"datagram_packets_sent"`     // packets that carried DATAGRAM frames; null for the others
	DatagramsReceiveDropped *int64 `json:"datagrams_receive_dropped"` // by the receiver's queue
}

// Sockets are the socket buffers as the kernel really set them, in bytes
// (the kernel doubles what is asked for, see socket(7)).
type Sockets struct {
	SenderSendBuffer      *int `json:"sender_send_buffer"`
	ReceiverReceiveBuffer *int `json:"receiver_receive_buffer"`
}
