package emulator

// buffer holds a train while packets of it are in the delay line.
type buffer struct {
	train train
	refs  int // runs that refer to it
	class int // of the pool it came from
	store []byte
}

// run is consecutive packets of one train that leave together.
type run struct {
	due   int64  // ns
	order uint64 // of admission: equal dues leave in this order, as in netem's tfifo
	buf   *buffer
	first int32
	count int32
}

func (r *run) before(o *run) bool {
	return r.due < o.due || r.due == o.due && r.order < o.order
}

// delayLine is the queue by due time: a binary heap, which a constant delay
// fills without moving anything.
type delayLine struct {
	heap    []run
	order   uint64
	packets int // in all runs
}

func (l *delayLine) push(r run) {
	l.order++
	r.order = l.order
	l.packets += int(r.count)
	h := append(l.heap, r)
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !r.before(&h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = r
	l.heap = h
}

// next is the run to leave next; nil if there is none.
func (l *delayLine) next() *run {
	if len(l.heap) == 0 {
		return nil
	}
	return &l.heap[0]
}

func (l *delayLine) pop() run {
	h := l.heap
	top := h[0]
	n := len(h) - 1
	r := h[n]
	h[n] = run{}
	h = h[:n]
	i := 0
	for {
		child := 2*i + 1
		if child >= n {
			break
		}
		if child+1 < n && h[child+1].before(&h[child]) {
			child++
		}
		if !h[child].before(&r) {
			break
		}
		h[i] = h[child]
		i = child
	}
	if n > 0 {
		h[i] = r
	}
	l.heap = h
	l.packets -= int(top.count)
	return top
}

// Buffers come in a few sizes, so that a small packet does not hold the room
// of a large one.
var classSizes = [...]int{256, 2048, 16384, frameSize}

// pool keeps buffers for reuse; the delay line's limit bounds how many there
// are.
type pool struct {
	free [len(classSizes)][]*buffer
	made int // buffers, free or not
}

// keep copies a train into a buffer.
func (p *pool) keep(t *train) *buffer {
	class := 0
	for classSizes[class] < len(t.frame) {
		class++
	}
	var b *buffer
	if free := p.free[class]; len(free) > 0 {
		b = free[len(free)-1]
		p.free[class] = free[:len(free)-1]
	} else {
		b = &buffer{class: class, store: make([]byte, classSizes[class])}
		p.made++
	}
	b.train = *t
	b.train.frame = b.store[:copy(b.store, t.frame)]
	return b
}

func (p *pool) release(b *buffer) {
	p.free[b.class] = append(p.free[b.class], b)
}
