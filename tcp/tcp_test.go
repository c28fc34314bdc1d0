package tcp_test

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"netcmp/tcp"
	"netcmp/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	transporttest.Run(t, tcp.New())
}

func TestTLSConformance(t *testing.T) {
	t.Parallel()
	transporttest.Run(t, tcp.NewTLS())
}

func TestAllocations(t *testing.T) { transporttest.NoAllocations(t, tcp.New()) }

func BenchmarkTCP(b *testing.B) {
	for _, size := range []int{500, 128 << 10} {
		for _, count := range []int{1, 32} {
			b.Run(fmt.Sprintf("size=%d/batch=%d", size, count), func(b *testing.B) {
				transporttest.Benchmark(b, tcp.New(), size, count)
			})
		}
	}
}
