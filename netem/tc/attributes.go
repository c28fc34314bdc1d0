package tc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/vishvananda/netlink/nl"

	"netcmp/netem"
)

// The attributes of a netem's TCA_OPTIONS (include/uapi/linux/pkt_sched.h).
const (
	attrCorrelation = 1  // struct tc_netem_corr
	attrDelayTable  = 2  // s16[]
	attrReorder     = 3  // struct tc_netem_reorder
	attrCorrupt     = 4  // struct tc_netem_corrupt
	attrLoss        = 5  // nested
	attrRate        = 6  // struct tc_netem_rate
	attrECN         = 7  // u32
	attrRate64      = 8  // u64, bytes a second
	attrLatency64   = 10 // s64, ns
	attrJitter64    = 11 // s64, ns
	attrSlot        = 12 // struct tc_netem_slot
	attrSlotTable   = 13 // s16[]
	attrSeed        = 14 // u64; since 6.6

	lossFourState             = 1 // struct tc_netem_gimodel
	lossGilbertElliott        = 2 // struct tc_netem_gemodel
	optionsSize               = 24
	bytesBits                 = 8
	tick                      = 64 // ns, of the fields that have no 64-bit brother (PSCHED_SHIFT)
	unlimited                 = math.MaxInt32
	nested             uint16 = 1 << 15 // NLA_F_NESTED
)

// ErrExtension is wrapped by the refusal of what the kernel's netem cannot do.
var ErrExtension = errors.New("the kernel's netem cannot do it")

// Refuse says what of an impairment the kernel's netem cannot do; nil if it can
// do all of it. A distribution from a file it can, though tc finds it only by
// another name.
func Refuse(i netem.Impairment) error {
	var found []string
	for _, x := range i.Extensions() {
		if !strings.HasPrefix(x, "distribution ") && !strings.HasPrefix(x, "slot distribution ") {
			found = append(found, x)
		}
	}
	if len(found) > 0 {
		return fmt.Errorf("%s: %w; it is the emulator's (--engine emulator)", strings.Join(found, ", "), ErrExtension)
	}
	return i.Validate()
}

// Encode is the impairment as the options of a netem. All attributes are there,
// so that a change leaves nothing of what was before. whole is for a change:
// the kernel keeps an old table unless it is given another, so that a uniform
// distribution comes as a table, too.
func Encode(i netem.Impairment, whole bool) ([]byte, error) {
	if err := Refuse(i); err != nil {
		return nil, err
	}
	var b []byte
	u32 := func(v ...uint32) []byte {
		var b []byte
		for _, x := range v {
			b = binary.NativeEndian.AppendUint32(b, x)
		}
		return b
	}
	u64 := func(v uint64) []byte { return binary.NativeEndian.AppendUint64(nil, v) }
	add := func(kind uint16, value []byte) {
		b = binary.NativeEndian.AppendUint16(b, uint16(4+len(value)))
		b = binary.NativeEndian.AppendUint16(b, kind)
		b = append(b, value...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}

	var loss, lossCorrelation netem.Probability
	var model []byte
	switch l := i.Loss.(type) {
	case netem.RandomLoss:
		loss = netem.Probability(l)
	case netem.CorrelatedLoss:
		loss, lossCorrelation = l.Loss, l.Correlation
	case netem.FourState: // the kernel's order: p13, p31, p32, p14, p23
		model = attribute(lossFourState, u32(uint32(l.P13), uint32(l.P31), uint32(l.P32), uint32(l.P14), uint32(l.P23)))
	case netem.GilbertElliott: // the kernel is told h, not 1−h
		model = attribute(lossGilbertElliott, u32(uint32(l.P), uint32(l.R), ^uint32(l.BadLoss), uint32(l.GoodLoss)))
	}
	gap := i.Gap
	if i.Reorder != 0 && gap == 0 {
		gap = 1
	}
	b = u32(ticks(i.Delay), uint32(i.QueueLimit()), uint32(loss), gap, uint32(i.Duplicate), ticks(i.Jitter))
	add(attrCorrelation, u32(uint32(i.DelayCorrelation), uint32(lossCorrelation), uint32(i.EffectiveDuplicateCorrelation())))
	add(attrLatency64, u64(uint64(i.Delay)))
	add(attrJitter64, u64(uint64(i.Jitter)))
	add(attrReorder, u32(uint32(i.Reorder), uint32(i.ReorderCorrelation)))
	add(attrCorrupt, u32(uint32(i.Corrupt), uint32(i.CorruptCorrelation)))
	if model != nil {
		add(attrLoss|nested, model)
	}
	rate := uint64(i.Rate) / bytesBits
	add(attrRate, u32(uint32(min(rate, math.MaxUint32)), uint32(i.Framing.Packet), i.Framing.Cell, uint32(i.Framing.CellOverhead)))
	if rate > math.MaxUint32 {
		add(attrRate64, u64(rate))
	}
	ecn := uint32(0)
	if i.ECN {
		ecn = 1
	}
	add(attrECN, u32(ecn))
	s := i.Slot
	var slot []byte
	for _, t := range []time.Duration{s.Min, max(s.Min, s.Max)} {
		slot = append(slot, u64(uint64(t))...)
	}
	slot = append(slot, u32(s.Packets, s.Bytes)...)
	for _, t := range []time.Duration{s.Delay, s.Jitter} {
		slot = append(slot, u64(uint64(t))...)
	}
	if s != (netem.Slot{}) || whole {
		add(attrSlot, slot)
	}
	for _, t := range []struct {
		kind   uint16
		of     netem.Distribution
		always bool
	}{{attrDelayTable, i.Distribution, whole && i.Jitter != 0}, {attrSlotTable, s.Distribution, false}} {
		table, err := t.of.Table()
		if err != nil {
			return nil, err
		}
		if table == nil && t.always {
			table = uniformTable()
		}
		if table == nil {
			continue
		}
		var bytes []byte
		for _, x := range table {
			bytes = binary.NativeEndian.AppendUint16(bytes, uint16(x))
		}
		add(t.kind, bytes)
	}
	if i.Seed != 0 {
		add(attrSeed, u64(i.Seed))
	}
	return b, nil
}

func attribute(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	return append(b, value...)
}

// ticks is a time in the units of the old 32-bit fields, which hold the most
// that they can where it is longer.
func ticks(d time.Duration) uint32 { return uint32(min(uint64(d)/tick, math.MaxUint32)) }

// uniformTable spreads evenly from −1 to 1 jitter.
func uniformTable() []int16 {
	const size, scale = 4096, 8192
	t := make([]int16, size)
	for k := range t {
		t[k] = int16((2*k+1)*scale/size - scale)
	}
	return t
}

// Decode reads the options of a netem as the kernel tells them. It does not
// tell of a distribution: a jitter comes back uniform.
func Decode(b []byte) (i netem.Impairment, err error) {
	if len(b) < optionsSize {
		return i, fmt.Errorf("netem options of %d bytes are cut off: want %d or more", len(b), optionsSize)
	}
	u32 := func(b []byte, n int) uint32 { return binary.NativeEndian.Uint32(b[4*n:]) }
	i.Delay = time.Duration(u32(b, 0)) * tick
	i.Limit = u32(b, 1)
	loss := netem.Probability(u32(b, 2))
	gap := u32(b, 3)
	i.Duplicate = netem.Probability(u32(b, 4))
	i.Jitter = time.Duration(u32(b, 5)) * tick

	attributes, err := nl.ParseRouteAttr(b[optionsSize:])
	if err != nil {
		return i, fmt.Errorf("netem options: %w", err)
	}
	sizes := map[uint16]int{
		attrCorrelation: 12, attrReorder: 8, attrCorrupt: 8, attrRate: 16, attrECN: 4, attrRate64: 8,
		attrLatency64: 8, attrJitter64: 8, attrSlot: 40, attrSeed: 8,
	}
	var lossCorrelation netem.Probability
	var rate, rate64 uint64
	for _, a := range attributes {
		kind, v := a.Attr.Type&^nested, a.Value
		if len(v) < sizes[kind] {
			return i, fmt.Errorf("netem options: attribute %d has %d bytes: want %d", kind, len(v), sizes[kind])
		}
		switch kind {
		case attrCorrelation:
			i.DelayCorrelation, lossCorrelation, i.DuplicateCorrelation = netem.Probability(u32(v, 0)), netem.Probability(u32(v, 1)), netem.Probability(u32(v, 2))
		case attrLatency64:
			i.Delay = time.Duration(binary.NativeEndian.Uint64(v))
		case attrJitter64:
			i.Jitter = time.Duration(binary.NativeEndian.Uint64(v))
		case attrReorder:
			i.Reorder, i.ReorderCorrelation = netem.Probability(u32(v, 0)), netem.Probability(u32(v, 1))
		case attrCorrupt:
			i.Corrupt, i.CorruptCorrelation = netem.Probability(u32(v, 0)), netem.Probability(u32(v, 1))
		case attrLoss:
			if i.Loss, err = decodeLoss(v); err != nil {
				return i, err
			}
		case attrRate:
			rate = uint64(u32(v, 0))
			i.Framing = netem.Framing{Packet: int32(u32(v, 1)), Cell: u32(v, 2), CellOverhead: int32(u32(v, 3))}
		case attrRate64:
			rate64 = binary.NativeEndian.Uint64(v)
		case attrECN:
			i.ECN = u32(v, 0) != 0
		case attrSlot:
			i.Slot = decodeSlot(v)
		case attrSeed:
			i.Seed = binary.NativeEndian.Uint64(v)
		}
	}
	if i.Loss == nil && loss != 0 {
		i.Loss = netem.RandomLoss(loss)
		if lossCorrelation != 0 {
			i.Loss = netem.CorrelatedLoss{Loss: loss, Correlation: lossCorrelation}
		}
	}
	if i.Reorder != 0 {
		i.Gap = gap
	}
	if rate = max(rate, rate64); rate > math.MaxUint64/bytesBits {
		return i, fmt.Errorf("netem options: a rate of %d bytes a second is out of range", rate)
	}
	if i.Rate = netem.Rate(rate * bytesBits); i.Rate == 0 {
		i.Framing = netem.Framing{}
	}
	if i.Limit == netem.DefaultLimit {
		i.Limit = 0
	}
	return i, nil
}

func decodeLoss(b []byte) (netem.LossModel, error) {
	models, err := nl.ParseRouteAttr(b)
	if err != nil {
		return nil, fmt.Errorf("netem options: loss: %w", err)
	}
	for _, m := range models {
		p := make([]netem.Probability, len(m.Value)/4)
		for n := range p {
			p[n] = netem.Probability(binary.NativeEndian.Uint32(m.Value[4*n:]))
		}
		switch kind := m.Attr.Type &^ nested; {
		case kind == lossFourState && len(p) >= 5:
			return netem.FourState{P13: p[0], P31: p[1], P32: p[2], P14: p[3], P23: p[4]}, nil
		case kind == lossGilbertElliott && len(p) >= 4:
			return netem.GilbertElliott{P: p[0], R: p[1], BadLoss: ^p[2], GoodLoss: p[3]}, nil
		}
	}
	return nil, errors.New("netem options: a loss model that is not known")
}

func decodeSlot(b []byte) (s netem.Slot) {
	at := func(n int) time.Duration { return time.Duration(binary.NativeEndian.Uint64(b[n:])) }
	s.Min, s.Max = at(0), at(8)
	s.Packets, s.Bytes = binary.NativeEndian.Uint32(b[16:]), binary.NativeEndian.Uint32(b[20:])
	s.Delay, s.Jitter = at(24), at(32)
	if s.Packets == unlimited {
		s.Packets = 0
	}
	if s.Bytes == unlimited {
		s.Bytes = 0
	}
	if s.Jitter != 0 {
		// Which one, the kernel does not tell.
		s.Distribution, s.Min, s.Max = netem.Normal, 0, 0
	}
	return s
}
