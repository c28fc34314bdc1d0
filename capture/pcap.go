package capture

import (
	"io"
	"runtime"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// pcap writes the packets of one device as pcapng: times to the nanosecond, what is
// known of a packet as its comment, and at the end how many there were.
type pcap struct {
	w       *pcapgo.NgWriter
	packets uint64
	err     error // the first; nothing is written after it
}

func newPcap(w io.Writer, device, application string) (*pcap, error) {
	options := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{
		Hardware: runtime.GOARCH, OS: runtime.GOOS, Application: application,
	}}
	of := pcapgo.NgInterface{Name: device, LinkType: layers.LinkTypeEthernet, TimestampResolution: 9}
	ng, err := pcapgo.NewNgWriterInterface(w, of, options)
	return &pcap{w: ng}, err
}

func (p *pcap) write(k *Packet) {
	if p.err != nil {
		return
	}
	info := gopacket.CaptureInfo{
		Timestamp: time.Unix(0, k.At), CaptureLength: len(k.Frame), Length: len(k.Frame),
	}
	var o pcapgo.NgPacketOptions
	if k.Comment != "" {
		o.Comments = []string{k.Comment}
	}
	p.err = p.w.WritePacketWithOptions(info, k.Frame, o)
	p.packets++
}

// end writes the interface's statistics (draft-ietf-opsawg-pcapng §4.6) and what is
// still buffered. missed is how many frames the ring had no room for: each counts as
// one packet received and dropped, since what was in it is not known.
func (p *pcap) end(began time.Time, missed int64) error {
	if p.err == nil {
		now := time.Unix(0, wallNow())
		p.err = p.w.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{
			LastUpdate: now, StartTime: began, EndTime: now,
			PacketsReceived: p.packets + uint64(missed), PacketsDropped: uint64(missed),
		})
	}
	if p.err == nil {
		p.err = p.w.Flush()
	}
	return p.err
}
