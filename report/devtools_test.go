package report

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// browser is a Chromium that is spoken to in its DevTools protocol, over a pair
// of pipes: JSON, each message ended by a NUL.
type browser struct {
	t       *testing.T
	to      *os.File
	from    *bufio.Reader
	cmd     *exec.Cmd
	errs    bytes.Buffer // what the browser itself says
	n       int
	session string
	// What the page did that it should not have: said something on the console,
	// threw, broke a policy.
	complaints []string
	requests   []string
}

// startBrowser starts a Chromium with an empty page, or skips the test.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Skip("no Chromium here")
	}
	fromUs, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, fromIt, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	const patience = time.Minute                                       // of the whole test; nothing in it takes a second
	ctx, cancel := context.WithTimeout(context.Background(), patience) // t's ends before the browser is closed
	cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
		"--user-data-dir="+filepath.Join(t.TempDir(), "profile"), "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
		"--no-first-run", "--disable-background-networking", "--hide-scrollbars")
	cmd.ExtraFiles = []*os.File{fromUs, fromIt} // 3 and 4
	b := &browser{t: t, cmd: cmd, to: to, from: bufio.NewReader(from)}
	cmd.Stderr = &b.errs // no file: so Wait waits for all its processes, which write to the profile
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fromUs.Close()
	fromIt.Close()
	t.Cleanup(func() {
		b.session = ""
		b.send("Browser.close", nil)
		_ = cmd.Wait()
		cancel()
		to.Close()
		from.Close()
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "Audits"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

func (b *browser) send(method string, params any) {
	b.n++
	m := map[string]any{"id": b.n, "method": method}
	if params != nil {
		m["params"] = params
	}
	if b.session != "" {
		m["sessionId"] = b.session
	}
	text, err := json.Marshal(m)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		b.t.Errorf("%s: %v", method, err)
	}
}

// answer is what comes from the browser: an answer, or an event.
type answer struct {
	ID     int
	Method string
	Params json.RawMessage
	Result json.RawMessage
	Error  *struct{ Message string }
}

func (b *browser) read() answer {
	b.t.Helper()
	text, err := b.from.ReadBytes(0)
	if err != nil {
		_ = b.cmd.Wait()
		b.t.Fatalf("the browser has gone: %v\n%s", err, b.errs.String())
	}
	var a answer
	if err := json.Unmarshal(text[:len(text)-1], &a); err != nil {
		b.t.Fatal(err)
	}
	switch a.Method {
	case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Audits.issueAdded":
		b.complaints = append(b.complaints, a.Method+" "+string(a.Params))
	case "Network.requestWillBeSent":
		var p struct{ Request struct{ URL string } }
		_ = json.Unmarshal(a.Params, &p)
		b.requests = append(b.requests, p.Request.URL)
	}
	return a
}

// call waits for the answer to a command.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	b.send(method, params)
	for {
		a := b.read()
		if a.ID != b.n {
			continue
		}
		if a.Error != nil {
			b.t.Fatalf("%s: %s", method, a.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(a.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
		return
	}
}

// open shows an address and waits until it is loaded.
func (b *browser) open(url string) {
	b.t.Helper()
	b.complaints, b.requests = nil, nil
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	for b.read().Method != "Page.loadEventFired" {
	}
}

// eval is the value of an expression in the page.
func eval[T any](b *browser, expression string) (v T) {
	b.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if r.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, r.ExceptionDetails)
	}
	if err := json.Unmarshal(r.Result.Value, &v); err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// mouse lets something happen with the pointer at a place of the window.
func (b *browser) mouse(kind string, x, y float64, clicks int) {
	b.t.Helper()
	p := map[string]any{"type": kind, "x": x, "y": y}
	if clicks > 0 {
		p["button"], p["clickCount"] = "left", clicks
	} else if kind == "mouseMoved" && clicks < 0 {
		p["button"], p["buttons"] = "left", 1
	}
	b.call("Input.dispatchMouseEvent", p, nil)
}

// key presses a key.
func (b *browser) key(name string) {
	b.t.Helper()
	code := map[string]int{"Tab": 9, "Escape": 27, "PageDown": 34, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39}[name]
	for _, kind := range []string{"keyDown", "keyUp"} {
		p := map[string]any{"type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code}
		if len(name) == 1 && kind == "keyDown" {
			p["text"] = name
		}
		b.call("Input.dispatchKeyEvent", p, nil)
	}
}

// width sets the window's.
func (b *browser) width(w int) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": w, "height": 900, "deviceScaleFactor": 1, "mobile": false}, nil)
}

// window sets its width, and whether it is dark.
func (b *browser) window(width int, scheme string) {
	b.t.Helper()
	b.width(width)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	frame(b)
}

// frame waits until what has been done is drawn.
func frame(b *browser) {
	b.t.Helper()
	eval[bool](b, "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
}

// content fails the test when the page said anything or asked for anything but
// itself.
func (b *browser) content(url string) {
	b.t.Helper()
	eval[int](b, "1") // what it said before this has come now
	for _, c := range b.complaints {
		b.t.Error(c)
	}
	for _, r := range b.requests {
		if r != url {
			b.t.Errorf("the page asked for %s", r)
		}
	}
	b.complaints, b.requests = nil, nil
}

// pageFile writes a page to be opened.
func pageFile(t *testing.T, page string) (url string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("file://%s", file)
}
