package ledger
import "testing"
func BenchmarkRec(b *testing.B){ h:=newHistogram(); for i:=0;i<b.N;i++ { h.record(20_000_000) } }
func BenchmarkRecVar(b *testing.B){ h:=newHistogram(); x:=uint64(1); for i:=0;i<b.N;i++ { x=x*6364136223846793005+1; h.record(int64(20_000_000+x>>40)) } }
func BenchmarkMom(b *testing.B){ var m moments; for i:=0;i<b.N;i++ { m.add(int64(i)) } }
func BenchmarkDelay(b *testing.B){ m:=newDelay(); for i:=0;i<b.N;i++ { m.arrive(20_000_000,5,int64(i),int64(i)+20_000_000) } }
func BenchmarkNb(b *testing.B){ m:=newNeighbours(neighbourWindow); for i:=0;i<b.N;i++ { m.arrive(uint64(i),20_000_000) } }
func BenchmarkOrd(b *testing.B){ m:=newOrder(orderWindow,64); for i:=0;i<b.N;i++ { m.arrive(uint64(i),20_000_000) } }
func BenchmarkTl(b *testing.B){ m:=newTimeline(0,0); for i:=0;i<b.N;i++ { m.arrive(int64(i)*1000,int64(i)*1000,20_000_000,5,100) } }
func BenchmarkDl(b *testing.B){ m:=newDeadlines(nil); for i:=0;i<b.N;i++ { m.arrive(20_000_000) } }
func BenchmarkBm(b *testing.B){ var m bitmap; for i:=0;i<b.N;i++ { m.add(uint64(i)) } }
func BenchmarkSt(b *testing.B){ m:=newStall(true); for i:=0;i<b.N;i++ { m.arrive(int64(i),int64(i)+20_000_000) } }
