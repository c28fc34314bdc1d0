package netem

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// A Profile is a path with a name.
type Profile struct {
	Name   string
	Path   Path
	Source string // where its figures come from, and which are of this project
	Note   string // what it is meant to be
}

// Where the profiles' figures come from. A round trip is split evenly. What a
// source does not say is said to be ours: it is what a link of the kind might
// do, and nobody measured it. So are all limits: the packets in the delay and
// 100 ms of queue, 50 at least; without a rate, 20,000 on long paths; netem's
// 1000 elsewhere.
const (
	// The table of the user documentation, devtools/docs/user/network_monitor/
	// throttling in the repository of Firefox.
	firefox = "Firefox DevTools' throttling table"
	// "Mobile Matters 2023", Opensignal's data of October 2022 to March 2023: mean
	// rates of 129.9 and 14.7 Mbit/s on 5G, 29.5 and 7.6 on 4G, 5.9 and 2 on 3G,
	// as reported by ISPreview on 21 July 2023.
	ofcomRates = "rates: Ofcom, Mobile Matters 2023, UK means (as reported by ISPreview)"
	// ofcom.org.uk, "Which mobile operator has the longest file download time?",
	// of Mobile Matters 2024: the operators' mean response times.
	ofcomTimes = "Ofcom, Mobile Matters 2024"
	// The table of verizon.com/about/our-company/network-performance.
	verizonDSL = "FCC, Measuring Broadband America 2016, as published by Verizon for its DSL of 3.1-7 Mbit/s: 5.66 and 0.82 Mbit/s, 37 ms round trip; no loss given"
	// Seen in two copies that name www/settings/connectivity.ini.sample of
	// WPO-Foundation/webpagetest as their source, and not there.
	webPageTest = "WebPageTest's preset Cable (read in copies of it): 5 and 1 Mbit/s, 28 ms round trip; no loss given"
	// blog.apnic.net/2022/11/28/fact-checking-starlinks-performance-figures.
	apnic = "UCLouvain, \"Fact checking Starlink's performance figures\", APNIC blog 2022"
)

var profiles = sync.OnceValue(func() []Profile {
	both := func(up, down string) Path {
		path := func(spec string) Impairment {
			i, err := Parse(spec)
			if err != nil {
				panic("netem: profile: " + err.Error())
			}
			return i
		}
		return Path{Up: path(up), Down: path(down)}
	}
	same := func(spec string) Path { return both(spec, spec) }
	return []Profile{
		{
			"dsl", both("delay 18.5ms rate 820kbit limit 50", "delay 18.5ms rate 5660kbit limit 56"),
			verizonDSL,
			"an ADSL line of the middle class",
		},
		{
			"cable", both("delay 14ms rate 1mbit limit 50", "delay 14ms rate 5mbit limit 50"),
			webPageTest,
			"a slow television cable",
		},
		{
			"wifi-good", both("delay 1ms rate 15mbit limit 130", "delay 1ms rate 30mbit limit 260"),
			firefox + ", Wi-Fi: 30 and 15 Mbit/s, 2 ms; taken as the round trip",
			"a wireless network beside its router",
		},
		{
			"wifi-bad", same("delay 5ms 8ms distribution pareto loss gemodel 1% 25% rate 5mbit limit 50"),
			"the figures are ours",
			"a wireless network two walls away: bursts of losses, 4 packets on average and 3.8 % in all, and now and then a packet that is very late",
		},
		{
			"3g", both("delay 50ms 10ms loss 0.1% rate 2mbit limit 50", "delay 50ms 10ms loss 0.1% rate 5900kbit limit 74"),
			ofcomRates + "; delay: " + firefox + ", Regular 3G: 100 ms, taken as the round trip; jitter and loss are ours",
			"a third-generation mobile network",
		},
		{
			"4g", both("delay 10.5ms 3ms loss 0.05% rate 7600kbit limit 70", "delay 10.5ms 3ms loss 0.05% rate 29500kbit limit 270"),
			ofcomRates + "; delay: " + ofcomTimes + ", 18.3 to 23.7 ms by operator, taken as the round trip; jitter and loss are ours",
			"a mobile network of today, indoors and out",
		},
		{
			"5g", both("delay 9.5ms 2ms loss 0.02% rate 14700kbit limit 140", "delay 9.5ms 2ms loss 0.02% rate 129900kbit limit 1200"),
			ofcomRates + "; delay: " + ofcomTimes + ", 16.3 to 21.4 ms by operator, taken as the round trip; jitter and loss are ours",
			"a fifth-generation mobile network whose way up is still 4G",
		},
		{
			"geo-satellite", both("delay 279ms rate 10mbit limit 320", "delay 279ms rate 100mbit limit 3200"),
			"delay: RFC 2488 section 2, one hop at the edge of the view: 279 ms; rates: the SatCom subscription in " + apnic + ": 100 and 10 Mbit/s; no loss given",
			"a satellite in geostationary orbit, without an enhancing proxy",
		},
		{
			"leo-satellite", both("delay 25ms 3ms loss gemodel 0.02% 5% rate 20mbit limit 210", "delay 25ms 3ms loss gemodel 0.02% 5% rate 150mbit limit 1600"),
			"delay: " + apnic + ": a median of 50 ms round trip to European anchors; rate down: promoted as 100 to 200 Mbit/s there; rate up, jitter and loss are ours",
			"a constellation in low orbit: losses in bursts of 20 packets, 0.4 % in all",
		},
		{
			"transatlantic", same("delay 45ms limit 20000"),
			"Verizon's service level for New York to London: 90 ms round trip (as quoted by others); no rate or loss given",
			"a good path between continents",
		},
		{
			"lossy", same("delay 20ms loss 2%"),
			"the figures are ours",
			"what a run has without path flags: losses that every protocol feels",
		},
		{
			"datacenter", same("delay 100us rate 10gbit"),
			"rate: Alizadeh et al., \"Data Center TCP\", SIGCOMM 2010, evaluated at 1 and 10 Gbit/s; delay is ours",
			"two servers in a hall",
		},
	}
})

// Profiles returns the paths that have a name.
func Profiles() []Profile { return slices.Clone(profiles()) }

// LookupProfile returns the profile with that name.
func LookupProfile(name string) (Profile, error) {
	var names []string
	for _, p := range profiles() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Profile{}, fmt.Errorf("unknown profile %q: want %s or %s", name, strings.Join(names[:len(names)-1], ", "), names[len(names)-1])
}
