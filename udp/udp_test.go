package udp_test

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"netcmp/transport/transporttest"
	"netcmp/udp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) { transporttest.Run(t, udp.New()) }

func TestAllocations(t *testing.T) { transporttest.NoAllocations(t, udp.New()) }

func BenchmarkUDP(b *testing.B) {
	for _, size := range []int{200, 1200} {
		for _, count := range []int{1, 32} {
			b.Run(fmt.Sprintf("size=%d/batch=%d", size, count), func(b *testing.B) {
				transporttest.Benchmark(b, udp.New(), size, count)
			})
		}
	}
}
