package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"ampulla/annotator/capturetest"
)

// TestReportInBrowser opens reports in Chromium, in light and in dark: nothing
// is complained about, nothing is loaded, and axe finds nothing that would keep
// anybody from reading them. "make report-check" runs it with what it needs:
// $AMPULLA_AXE is axe.min.js of axe-core. $AMPULLA_SHOTS is a folder for
// pictures.
func TestReportInBrowser(t *testing.T) {
	axe := os.Getenv("AMPULLA_AXE")
	if !capturetest.Full() || axe == "" {
		t.Skip("AMPULLA_FULL and AMPULLA_AXE are not set")
	}
	source, err := os.ReadFile(axe)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("no tshark")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WindowSize(1200, 900))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	defer cancel()
	shop := filepath.Join("..", "testdata", "shop")
	for _, capture := range []string{
		filepath.Join(shop, "timeout_tls.pcapng.zst"), filepath.Join(shop, "none_http1.pcapng.zst"),
		filepath.Join("..", "testdata", "captures", "demo.pcapng"), filepath.Join("..", "testdata", "captures", "benign_dns.pcapng"),
	} {
		name, _, _ := strings.Cut(filepath.Base(capture), ".")
		page := filepath.Join(t.TempDir(), name+".html")
		args := []string{"ampulla", "report", capture, "-o", page}
		if keys := filepath.Join(shop, name+".keys"); exists(keys) {
			args = append(args, "--key-log", keys)
		}
		if code := run(t.Context(), args, nil, os.Stderr, os.Stderr); code != exitDone {
			t.Fatalf("%s: exit code %d", capture, code)
		}
		for _, scheme := range []string{"light", "dark"} {
			t.Run(name+"/"+scheme, func(t *testing.T) { look(ctx, t, page, scheme, string(source)) })
		}
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// evaluate runs a script in the page, whose value is a string or a promise of one.
func evaluate(ctx context.Context, t *testing.T, script string) string {
	t.Helper()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// look opens a page and complains about what it finds.
func look(ctx context.Context, t *testing.T, page, scheme, axe string) {
	ctx, cancel := chromedp.NewContext(ctx)
	defer cancel()
	var mu sync.Mutex
	var complaints []string
	complain := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		complaints = append(complaints, text)
	}
	listen := func(event any) {
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			complain("console: " + string(e.Type))
		case *runtime.EventExceptionThrown:
			complain("exception: " + e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			complain("log: " + e.Entry.Text)
		case *network.EventRequestWillBeSent:
			if url := e.Request.URL; !strings.HasPrefix(url, "file://"+page) && !strings.HasPrefix(url, "data:") {
				complain("request: " + url)
			}
		}
	}
	if err := chromedp.Listen(ctx, listen); err != nil {
		t.Fatal(err)
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate("file://"+page)); err != nil {
		t.Fatal(err)
	}
	shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.KeyEvent(kb.Tab)); err != nil {
		t.Fatal(err)
	}
	first := evaluate(ctx, t, `document.activeElement.className`)
	// All that folds is unfolded, so that it is looked at as well.
	evaluate(ctx, t, axe+`; document.querySelectorAll("details").forEach(d => { d.open = true }); ""`)
	violations := evaluate(ctx, t, `axe.run().then(r => JSON.stringify(r.violations.map(v => [v.id, v.help, v.nodes.slice(0, 3).map(n => n.html)])))`)
	button := evaluate(ctx, t, `(async () => {
		const button = document.querySelector("button");
		if (!button) return "none";
		button.click();
		await new Promise(done => setTimeout(done, 300));
		return button.textContent;
	})()`)
	checkPaper(ctx, t)
	mu.Lock()
	defer mu.Unlock()
	for _, c := range complaints {
		t.Error(c)
	}
	var found []json.RawMessage
	if err := json.Unmarshal([]byte(violations), &found); err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Errorf("axe: %s", v)
	}
	if first != "skip" {
		t.Errorf("Tab leads to %q first, not to the link over the head", first)
	}
	if button != "Copied" && button != "none" {
		t.Errorf("the copy button says %q", button)
	}
	if dir := os.Getenv("AMPULLA_SHOTS"); dir != "" {
		name := strings.TrimSuffix(filepath.Base(page), ".html") + "_" + scheme + ".png"
		if err := os.WriteFile(filepath.Join(dir, name), shot, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// checkPaper wants all of the page on paper, A4 less margins of 10 mm.
func checkPaper(ctx context.Context, t *testing.T) {
	t.Helper()
	media := emulation.SetEmulatedMediaParams{Media: "print"}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
	paper := emulation.SetDeviceMetricsOverrideParams{Width: 718, Height: 1047, DeviceScaleFactor: 1}
	if _, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, paper); err != nil {
		t.Fatal(err)
	}
	lost := evaluate(ctx, t, `(() => {
		document.querySelectorAll("details").forEach(d => { d.open = false });
		dispatchEvent(new Event("beforeprint"));
		const folded = [...document.querySelectorAll("details:not([open])")].filter(d => d.checkVisibility());
		const wide = [...document.querySelectorAll("table, code, svg, p")].filter(e => e.getBoundingClientRect().right > innerWidth);
		return folded.concat(wide).map(e => e.outerHTML.slice(0, 200)).join("\n");
	})()`)
	if lost != "" {
		t.Errorf("on paper something is missing: %s", lost)
	}
}
