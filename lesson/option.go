package lesson

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/gopacket/gopacket/layers"

	"netcmp/capture"
)

// options writes the options of a segment, without those that only fill space.
func options(t *capture.TCP) []string {
	all := []string{}
	for _, o := range t.Options {
		data := o.OptionData
		switch {
		case o.OptionType == layers.TCPOptionKindNop || o.OptionType == layers.TCPOptionKindEndList:
		case o.OptionType == layers.TCPOptionKindMSS && len(data) == 2:
			all = append(all, fmt.Sprintf("MSS %d", binary.BigEndian.Uint16(data)))
		case o.OptionType == layers.TCPOptionKindWindowScale && len(data) == 1:
			all = append(all, fmt.Sprintf("window scale %d", data[0]))
		case o.OptionType == layers.TCPOptionKindSACKPermitted:
			all = append(all, "SACK permitted")
		case o.OptionType == layers.TCPOptionKindTimestamps && len(data) == 8:
			all = append(all, fmt.Sprintf("timestamps %d/%d", binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:])))
		case o.OptionType == layers.TCPOptionKindSACK && len(data)%8 == 0:
			var holes []string
			for ; len(data) > 0; data = data[8:] {
				holes = append(holes, fmt.Sprintf("%d-%d", binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:])))
			}
			all = append(all, "SACK "+strings.Join(holes, " "))
		default:
			all = append(all, fmt.Sprintf("option %d (%d bytes)", o.OptionType, len(data)))
		}
	}
	return all
}

// kinds are the options' names alone, in the order of the segment.
func kinds(t *capture.TCP) string {
	var all []string
	for _, o := range options(t) {
		all = append(all, strings.TrimRight(o, " 0123456789/"))
	}
	return strings.Join(all, ", ")
}
