package capture

import (
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// pcap writes packets as pcapng: an interface for each device, times to the
// nanosecond, and what is known of a packet as its comment.
type pcap struct {
	w   *pcapgo.NgWriter
	err error // the first; nothing is written after it
}

func newPcap(w io.Writer, application string) (*pcap, error) {
	options := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{
		Hardware: runtime.GOARCH, OS: runtime.GOOS, Application: application,
	}}
	of := func(device string) pcapgo.NgInterface {
		return pcapgo.NgInterface{Name: device, LinkType: layers.LinkTypeEthernet, TimestampResolution: 9}
	}
	ng, err := pcapgo.NewNgWriterInterface(w, of(devices[0]), options)
	for _, device := range devices[1:] {
		if err == nil {
			_, err = ng.AddInterface(of(device))
		}
	}
	return &pcap{w: ng}, err
}

func (p *pcap) write(k *Packet) {
	if p.err != nil {
		return
	}
	info := gopacket.CaptureInfo{
		Timestamp: time.Unix(0, k.At), CaptureLength: len(k.Frame), Length: len(k.Frame),
		InterfaceIndex: slices.Index(devices, k.Device),
	}
	var o pcapgo.NgPacketOptions
	if k.Comment != "" {
		o.Comments = []string{k.Comment}
	}
	p.err = p.w.WritePacketWithOptions(info, k.Frame, o)
}

func (p *pcap) flush() error {
	if p.err == nil {
		p.err = p.w.Flush()
	}
	return p.err
}
