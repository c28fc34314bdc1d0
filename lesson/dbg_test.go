package lesson
import ("testing";"time";"fmt")
func TestDbg(t *testing.T) {
	d := &Document{Name:"x"}
	for _, w := range []time.Duration{5*time.Millisecond} {
		for range 6 {
		b := time.Now()
		if err := longOrShort(t.Context(), d, w); err != nil { t.Fatal(err) }
		fmt.Println(time.Since(b))
		s := d.Scenes[len(d.Scenes)-1]
		for _, r := range s.Table { fmt.Println(r.Name, r.Cells()) }
		}
	}
}
