package validation

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	quicgo "github.com/quic-go/quic-go"

	"netcmp/lab"
	"netcmp/transport/secure"
)

// The bare loop is what quic-go does where nobody numbers, checks or accounts for
// anything: one process writes to a stream, another reads it. Windows are those that
// package quic asks for, buffers quic-go's own in both.

const bareMessage = 128 << 10

func bareSettings() *quicgo.Config {
	return &quicgo.Config{
		InitialStreamReceiveWindow: 1 << 20, MaxStreamReceiveWindow: 32 << 20,
		InitialConnectionReceiveWindow: 3 << 19, MaxConnectionReceiveWindow: 48 << 20,
	}
}

// bareRoles are the two processes; lab.Dispatch starts them.
func bareRoles() map[string]func() int {
	role := func(do func() error) func() int {
		return func() int {
			if err := do(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			return 0
		}
	}
	return map[string]func() int{"bare-server": role(bareServer), "bare-client": role(bareClient)}
}

// bareReport is what the server tells at the end.
type bareReport struct {
	Bytes, NS int64
}

func bareServer() error {
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	identity, certificate, err := secure.Server(false)
	if err != nil {
		return err
	}
	l, err := (&quicgo.Transport{Conn: udp}).Listen(identity, bareSettings())
	if err != nil {
		return err
	}
	fmt.Println(udp.LocalAddr().(*net.UDPAddr).Port, base64.StdEncoding.EncodeToString(certificate))
	ctx, cancel := context.WithTimeout(context.Background(), toolPatience)
	defer cancel()
	conn, err := l.Accept(ctx)
	if err != nil {
		return err
	}
	in, err := conn.AcceptUniStream(ctx)
	if err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	var report bareReport
	begun := time.Now()
	for {
		n, err := in.Read(buf)
		report.Bytes += int64(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	report.NS = time.Since(begun).Nanoseconds()
	if err := conn.CloseWithError(0, ""); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}

// bareClient gets the server's port and certificate on standard input.
func bareClient() error {
	var port, text string
	if _, err := fmt.Fscan(os.Stdin, &port, &text); err != nil {
		return err
	}
	certificate, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	trust, err := secure.Client(certificate, nil)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	return bareSend(trust, n)
}

func bareSend(trust *tls.Config, port int) error {
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), toolPatience)
	defer cancel()
	conn, err := (&quicgo.Transport{Conn: udp}).Dial(ctx, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}, trust, bareSettings())
	if err != nil {
		return err
	}
	out, err := conn.OpenUniStreamSync(ctx)
	if err != nil {
		return err
	}
	b := make([]byte, bareMessage)
	for end := time.Now().Add(runSeconds * time.Second); time.Now().Before(end); {
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	<-conn.Context().Done() // the server closes when it has read all
	return nil
}

// bareQUIC is a run of the bare loop.
func bareQUIC() contender {
	return contender{"quic-go", "a bare quic-go loop", func(t *testing.T) figures {
		ctx, cancel := context.WithTimeout(t.Context(), toolPatience)
		defer cancel()
		start := func(name string, in io.Reader) (*exec.Cmd, *bytes.Buffer, io.ReadCloser) {
			self := lab.Self(name)
			cmd := exec.CommandContext(ctx, "/proc/self/exe")
			cmd.Args, cmd.Env, cmd.Stdin = self.Args, self.Env, in
			said := &bytes.Buffer{}
			cmd.Stderr = said
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			return cmd, said, out
		}
		server, serverSaid, out := start("bare-server", nil)
		var port, certificate string
		if _, err := fmt.Fscan(out, &port, &certificate); err != nil {
			t.Fatal(err)
		}
		client, clientSaid, _ := start("bare-client", strings.NewReader(port+" "+certificate))
		var got bareReport
		err := json.NewDecoder(out).Decode(&got)
		if err = errors.Join(err, server.Wait(), client.Wait()); err != nil {
			t.Fatalf("%v\n%s%s", err, serverSaid, clientSaid)
		}
		delivered := float64(got.Bytes) / bareMessage
		took := float64(got.NS) / 1e9
		cpu := server.ProcessState.UserTime() + server.ProcessState.SystemTime() + client.ProcessState.UserTime() + client.ProcessState.SystemTime()
		return figures{
			"bits": 8 * float64(got.Bytes) / took, "rate": delivered / took,
			"cpu": float64(cpu.Nanoseconds()) / delivered,
		}
	}}
}
