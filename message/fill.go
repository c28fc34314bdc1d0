package message

import "encoding/binary"

// Fill overwrites payload with bytes that look random and depend on seed
// alone: a path that compresses gains nothing, and any end can make the same
// payload again. A shorter payload is the beginning of a longer one.
func Fill(payload []byte, seed uint64) {
	// SplitMix64 walks its state in steps of one constant. Scattering the seed
	// first keeps neighbouring seeds from being the same walk, a few steps on.
	state := scatter(seed)
	for len(payload) >= 8 {
		state += step
		binary.LittleEndian.PutUint64(payload, scatter(state))
		payload = payload[8:]
	}
	for last := scatter(state + step); len(payload) > 0; last >>= 8 {
		payload[0] = byte(last)
		payload = payload[1:]
	}
}

const step = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio, odd

// scatter is the output function of SplitMix64 (Steele, Lea, Flood: "Fast
// splittable pseudorandom number generators", 2014).
func scatter(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
