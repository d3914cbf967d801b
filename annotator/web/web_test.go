package web

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"ampulla/annotator/transaction"
)

const second = 1_000_000_000

var (
	shop    = netip.MustParseAddrPort("192.0.2.80:443")
	other   = netip.MustParseAddrPort("198.51.100.7:443") // a third party
	payment = netip.MustParseAddrPort("10.0.0.9:8081")
	back    = netip.MustParseAddr("10.0.0.2") // the shop's other address
)

// site passes requests to a collector.
type site struct {
	t     *testing.T
	c     *Collector
	now   int64
	frame uint64
	conn  uint32
}

func newSite(t *testing.T, change func(*Config)) *site {
	cfg := Default()
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &site{t: t, c: c, now: 1000 * second}
}

// exchange returns a good answer that begins now and takes so many ms.
func (s *site) exchange(visitor int, server netip.AddrPort, host, method, path string, took int64) *transaction.Exchange {
	s.frame += 2
	s.conn++
	x := &transaction.Exchange{
		Version: "1.1", Secure: server.Port() == 443, Client: netip.AddrPortFrom(person(visitor), 40000), Server: server, Connection: s.conn,
		Method: method, Host: host, Path: path, Status: 200, Outcome: transaction.Answered,
		Start: s.now, Sent: s.now, FirstByte: s.now + took*1e6, End: s.now + took*1e6,
		RequestBytes: 300, ResponseBytes: 1000, RequestFrame: s.frame - 1, ResponseFrame: s.frame, LastFrame: s.frame,
		Request:  transaction.Headers{{Name: "user-agent", Value: "Mozilla/5.0"}, {Name: "cookie", Value: fmt.Sprintf("lang=en; PHPSESSID=%d", visitor)}},
		Response: transaction.Headers{{Name: "content-type", Value: "text/html"}},
	}
	s.now += took*1e6 + second/10
	return x
}

func person(n int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}) }

func (s *site) page(visitor int, method, path string) {
	s.c.Exchange(s.exchange(visitor, shop, "shop.example", method, path, 20))
}

// result ends the capture long after the last request.
func (s *site) result() *Result { return s.c.Result(s.now + 60*second) }

// TestAbandonment has ten visitors, four of whom meet a failure when they pay,
// and leave.
func TestAbandonment(t *testing.T) {
	tests := []struct {
		name    string
		fail    func(s *site, visitor int) // instead of paying
		cause   string
		culprit string
	}{
		{"the shop answers 504", func(s *site, v int) {
			x := s.exchange(v, shop, "shop.example", "POST", "/checkout/payment", 5000)
			x.Status = 504
			s.c.Exchange(x)
		}, CauseTimeout, "POST https://shop.example/checkout/payment"},
		{"the shop does not answer", func(s *site, v int) {
			x := s.exchange(v, shop, "shop.example", "POST", "/checkout/payment", 8000)
			x.Status, x.FirstByte, x.Outcome = 0, 0, transaction.GivenUp
			s.c.Exchange(x)
		}, CauseTimeout, "POST https://shop.example/checkout/payment"},
		{"an error", func(s *site, v int) {
			x := s.exchange(v, shop, "shop.example", "POST", "/checkout/payment", 50)
			x.Status = 500
			s.c.Exchange(x)
		}, CauseServer, "POST https://shop.example/checkout/payment"},
		{"a reset", func(s *site, v int) {
			x := s.exchange(v, shop, "shop.example", "POST", "/checkout/payment", 50)
			x.Status, x.FirstByte, x.Outcome = 0, 0, transaction.Reset
			s.c.Exchange(x)
		}, CauseReset, "POST https://shop.example/checkout/payment"},
		{"refused", func(s *site, v int) {
			x := s.exchange(v, shop, "shop.example", "POST", "/checkout/payment", 50)
			x.Status = 422
			s.c.Exchange(x)
		}, CauseClient, "POST https://shop.example/checkout/payment"},
		{"slow", func(s *site, v int) {
			s.c.Exchange(s.exchange(v, shop, "shop.example", "POST", "/checkout/payment", 6000))
		}, CauseSlow, "POST https://shop.example/checkout/payment"},
		{"a slow third party", func(s *site, v int) {
			s.page(v, "GET", "/checkout/payment")
			s.c.Exchange(s.exchange(v, other, "pay.example.net", "GET", "/widget", 7000))
		}, CauseThirdParty, "GET https://pay.example.net/widget"},
		{"the payment service does not answer the shop", func(s *site, v int) {
			x := s.exchange(v, shop, "shop.example", "POST", "/checkout/payment", 5000)
			x.Status = 504
			inner := s.exchange(0, payment, "10.0.0.9:8081", "POST", "/v1/charges", 4900)
			inner.Client = netip.AddrPortFrom(back, 50000)
			inner.Request = transaction.Headers{{Name: "user-agent", Value: "Python-urllib/3.11"}}
			inner.Start, inner.End = x.Start+50*1e6, x.End-50*1e6
			inner.Status, inner.FirstByte, inner.Outcome = 0, 0, transaction.GivenUp
			s.c.Exchange(inner)
			s.c.Exchange(x)
		}, CauseTimeout, "POST http://10.0.0.9:8081/v1/charges"},
		{"the payment service cannot be reached", func(s *site, v int) {
			x := s.exchange(v, shop, "shop.example", "POST", "/checkout/payment", 500)
			x.Status = 502
			s.c.Exchange(x)
			s.c.Connection(&transaction.Connection{
				Client: netip.AddrPortFrom(back, 50000), Server: payment, Start: x.Start + 1e6, End: x.End - 1e6,
				Failure: transaction.Refused, Frame: s.frame, FailureFrame: s.frame,
			})
		}, CauseConnect, "10.0.0.9:8081"},
		{"a name that does not exist", func(s *site, v int) {
			s.page(v, "GET", "/checkout/payment")
			s.c.Lookup(&transaction.Lookup{
				Client: netip.AddrPortFrom(person(v), 5353), Server: netip.MustParseAddrPort("192.0.2.53:53"),
				Name: "pay.example.net", Type: 1, Start: s.now, Took: 1e6, Answered: true, Code: 3, Frame: s.frame, AnswerFrame: s.frame + 1,
			})
		}, CauseDNS, "pay.example.net"},
		{"no TLS session", func(s *site, v int) {
			s.page(v, "GET", "/checkout/payment")
			s.c.Connection(&transaction.Connection{
				Client: netip.AddrPortFrom(person(v), 50000), Server: other, Start: s.now, End: s.now + 1e6, TLS: true, Host: "pay.example.net",
				Failure: transaction.TLSFailed, Reason: "the client sent the alert certificate expired", Frame: s.frame, FailureFrame: s.frame,
			})
		}, CauseTLS, "pay.example.net"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, nil)
			for v := 1; v <= 10; v++ {
				s.page(v, "GET", "/product/7")
				s.page(v, "POST", "/cart/add")
				s.page(v, "GET", "/checkout")
				if v%5 < 2 { // 1, 5, 6, 10
					test.fail(s, v)
				} else {
					s.page(v, "POST", "/checkout/payment")
					s.page(v, "GET", "/order/confirmation")
				}
			}
			r := s.result()
			a := r.Abandonment
			if !a.Detected || a.Stage != "payment" || a.Cause != test.cause || a.Culprit != test.culprit || a.Lost != 4 || a.Entered != 10 {
				t.Errorf("%+v", a)
			}
			if len(a.Frames) == 0 || a.Filter == "" {
				t.Errorf("no evidence: %+v", a)
			}
			if r.Funnel.Visitors != 10 || r.Funnel.Converted != 6 {
				t.Errorf("%+v", r.Funnel)
			}
		})
	}
}

// TestNoAbandonment has visitors who leave, but not for a failure.
func TestNoAbandonment(t *testing.T) {
	tests := []struct {
		name  string
		visit func(s *site, v int)
	}{
		{"people leave as they like", func(s *site, v int) {
			s.page(v, "GET", "/cart")
			if v%2 == 0 {
				s.page(v, "GET", "/checkout")
			}
		}},
		{"as many go on after the failure", func(s *site, v int) {
			x := s.exchange(v, shop, "shop.example", "GET", "/cart", 50)
			x.Status = 500
			s.c.Exchange(x)
			if v%2 == 0 {
				s.page(v, "GET", "/checkout")
				s.page(v, "GET", "/order/confirmation")
			}
		}},
		{"the failure was before, and overcome", func(s *site, v int) {
			x := s.exchange(v, shop, "shop.example", "GET", "/product/1", 50)
			x.Status = 500
			s.c.Exchange(x)
			s.page(v, "GET", "/product/1")
			s.page(v, "GET", "/cart")
		}},
		{"a picture is missing", func(s *site, v int) {
			s.page(v, "GET", "/cart")
			x := s.exchange(v, shop, "shop.example", "GET", "/cart/logo.png", 5)
			x.Status = 404
			s.c.Exchange(x)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, nil)
			for v := 1; v <= 10; v++ {
				test.visit(s, v)
			}
			// Half of those who meet a failure leave, and half of those who do not.
			if test.name == "as many go on after the failure" {
				for v := 11; v <= 20; v++ {
					s.page(v, "GET", "/cart")
					if v%2 == 0 {
						s.page(v, "GET", "/checkout")
					}
				}
			}
			if a := s.result().Abandonment; a.Detected {
				t.Errorf("%+v", a)
			}
		})
	}
}

// TestOpen has visitors who are still at it when the capture ends.
func TestOpen(t *testing.T) {
	s := newSite(t, nil)
	for v := 1; v <= 4; v++ {
		s.page(v, "GET", "/cart")
	}
	if f := s.c.Result(s.now).Funnel; f.Open != 4 || f.Stages[1].Left != 0 {
		t.Errorf("%+v", f)
	}
}

// TestVisitors tells visitors apart: by cookie, from the first answer on, or by
// address and browser.
func TestVisitors(t *testing.T) {
	s := newSite(t, nil)
	ask := func(client int, agent, cookie, setCookie, path string) {
		x := s.exchange(client, shop, "shop.example", "GET", path, 10)
		x.Request = transaction.Headers{{Name: "user-agent", Value: agent}}
		if cookie != "" {
			x.Request = append(x.Request, transaction.Header{Name: "cookie", Value: cookie})
		}
		if setCookie != "" {
			x.Response = append(x.Response, transaction.Header{Name: "set-cookie", Value: setCookie})
		}
		s.c.Exchange(x)
	}
	ask(1, "A", "", "session_id=x; Path=/", "/product/1") // behind one address, two with cookies
	ask(1, "A", "theme=dark; session_id=x", "", "/cart")
	ask(1, "A", "session_id=y", "", "/cart")
	ask(2, "A", "", "", "/product/1") // and two without, on another
	ask(2, "A", "", "", "/cart")
	ask(2, "B", "", "", "/cart")
	if f := s.result().Funnel; f.Visitors != 4 || f.Stages[0].Entered != 2 || f.Stages[1].Entered != 4 {
		t.Errorf("%+v", f)
	}
}

// TestAgents tells a shop's own requests from those of its visitors, who ask
// while others wait for the payment.
func TestAgents(t *testing.T) {
	s := newSite(t, nil)
	s.page(1, "GET", "/cart")
	for range 3 {
		slow := s.exchange(1, shop, "shop.example", "POST", "/checkout/payment", 1000)
		inner := s.exchange(0, payment, "10.0.0.9:8081", "POST", "/v1/charges", 900)
		inner.Client = netip.AddrPortFrom(back, 50000)
		inner.Request = transaction.Headers{{Name: "user-agent", Value: "Python-urllib/3.11"}}
		inner.Start, inner.End = slow.Start+10*1e6, slow.End-10*1e6
		meanwhile := s.exchange(2, shop, "shop.example", "GET", "/cart", 10)
		meanwhile.Start, meanwhile.End = inner.Start+100*1e6, inner.Start+200*1e6
		for _, x := range []*transaction.Exchange{meanwhile, inner, slow} {
			s.c.Exchange(x)
		}
	}
	if !s.c.internal(back) || s.c.internal(person(1)) || s.c.internal(person(2)) {
		t.Errorf("application %v, visitors %v, %v", s.c.internal(back), s.c.internal(person(1)), s.c.internal(person(2)))
	}
	if f := s.result().Funnel; f.Visitors != 2 {
		t.Errorf("%+v", f)
	}
}

// TestNoShop has a server that pays for visitors who cannot be read, and is none.
func TestNoShop(t *testing.T) {
	s := newSite(t, nil)
	for range 20 {
		s.c.Exchange(s.exchange(1, payment, "10.0.0.9:8081", "POST", "/v1/charges", 20))
	}
	if r := s.result(); r.Funnel != nil || r.Requests != 20 {
		t.Errorf("%d requests, %+v", r.Requests, r.Funnel)
	}
}

func TestStages(t *testing.T) {
	tests := map[string]string{
		"/":                               "",
		"/product/red-shoe":               "product",
		"/products/red-shoe?variant=1":    "product",
		"/index.php?route=x&product_id=3": "product",
		"/production/":                    "",
		"/cart":                           "cart",
		"/cart.php?x":                     "cart",
		"/Warenkorb/":                     "cart",
		"/cartoon":                        "",
		"/?wc-ajax=add_to_cart":           "cart",
		"/checkout/":                      "checkout",
		"/checkout/onepage/":              "checkout",
		"/kasse":                          "checkout",
		"/checkout/payment":               "payment",
		"/?wc-ajax=checkout":              "payment",
		"/rest/V1/carts/mine/payment-information": "payment",
		"/checkout/onepage/success/":              "confirmation",
		"/checkout/order-received/17/?key=wc":     "confirmation",
		"/123/orders/abc/thank_you":               "confirmation",
		"/order/confirmation":                     "confirmation",
		"/repayments-policy":                      "",
	}
	s := newSite(t, nil)
	for target, want := range tests {
		got := ""
		if i := s.c.stageOf(&transaction.Exchange{Path: target}, &resource{kind: "document"}); i >= 0 {
			got = stageNames[i]
		}
		if got != want {
			t.Errorf("%s is %q, want %q", target, got, want)
		}
	}
	if i := s.c.stageOf(&transaction.Exchange{Path: "/product/1.png"}, &resource{kind: "image"}); i >= 0 {
		t.Error("a picture is a stage")
	}
}

func TestDelays(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var d delays
	var all []int64
	for range 5000 {
		ns := int64(math.Exp(random.Float64()*16 + 7)) // a microsecond to ten seconds
		all = append(all, ns)
		d.add(ns)
	}
	slices.Sort(all)
	for _, q := range []float64{0.01, 0.5, 0.95, 1} {
		want := all[int(math.Ceil(q*float64(len(all))))-1]
		if got := d.quantile(q); math.Abs(float64(got-want)) > 0.006*float64(want) {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
	if len(d.buckets) > 1800 {
		t.Errorf("%d buckets", len(d.buckets))
	}
	if empty := (&delays{}).delay(); empty != (Delay{}) {
		t.Errorf("%+v of nothing", empty)
	}
}

func TestGeneralize(t *testing.T) {
	for target, want := range map[string]string{
		"/product/17/reviews":                     "/product/{n}/reviews",
		"/o/3f2504e0-4f89-11d3-9a0c-0305e82c3301": "/o/{id}",
		"/static/app.3f2504e04f8911d39a0c.js":     "/static/app.3f2504e04f8911d39a0c.js",
		"/cafe/deadbeef":                          "/cafe/deadbeef",
		"/2024/11":                                "/{n}/{n}",
		"":                                        "",
	} {
		if got := generalize(target); got != want {
			t.Errorf("%s becomes %s, want %s", target, got, want)
		}
	}
}

// TestAdvice gives each kind of advice for its reason, and for nothing else.
func TestAdvice(t *testing.T) {
	loaded := func(s *site, v int, path, kind string, size int64, headers ...transaction.Header) *transaction.Exchange {
		x := s.exchange(v, shop, "shop.example", "GET", path, 30)
		x.Request = append(x.Request, transaction.Header{Name: "accept-encoding", Value: "gzip, br"})
		x.Response = append(transaction.Headers{{Name: "content-type", Value: kind}}, headers...)
		x.ResponseBytes = size
		return x
	}
	keep := transaction.Header{Name: "cache-control", Value: "max-age=86400"}
	zip := transaction.Header{Name: "content-encoding", Value: "br"}
	api := func(s *site, path string) {
		for range 5 {
			s.c.Exchange(loaded(s, 1, path, "application/json", 500, keep))
		}
	}
	tests := []struct {
		name string
		do   func(s *site)
		want string
	}{
		{"heavy pictures", func(s *site) { s.c.Exchange(loaded(s, 1, "/a.png", "image/png", 900_000, keep)) }, "images"},
		{"small ones", func(s *site) { s.c.Exchange(loaded(s, 1, "/a.png", "image/png", 9_000, keep)) }, ""},
		{"heavy ones of a new format", func(s *site) { s.c.Exchange(loaded(s, 1, "/a.webp", "image/webp", 900_000, keep)) }, ""},
		{"text", func(s *site) { s.c.Exchange(loaded(s, 1, "/a.js", "text/javascript", 90_000, keep)) }, "compression"},
		{"compressed text", func(s *site) { s.c.Exchange(loaded(s, 1, "/a.js", "text/javascript", 90_000, keep, zip)) }, ""},
		{"a client that cannot unpack", func(s *site) {
			x := loaded(s, 1, "/a.js", "text/javascript", 90_000, keep)
			x.Request = nil
			s.c.Exchange(x)
		}, ""},
		{"loaded twice", func(s *site) {
			for range 2 {
				s.c.Exchange(loaded(s, 1, "/a.css", "text/css", 90_000, keep, zip))
			}
		}, "caching"},
		{"loaded by two", func(s *site) {
			for v := range 2 {
				s.c.Exchange(loaded(s, v, "/a.css", "text/css", 90_000, keep, zip))
			}
		}, ""},
		{"nothing to keep it by", func(s *site) { s.c.Exchange(loaded(s, 1, "/a.css", "text/css", 90_000, zip)) }, "cache_headers"},
		{"calls in a row", func(s *site) {
			for i := range 4 {
				api(s, fmt.Sprintf("/api/stock/%d", i))
				s.page(1, "GET", "/")
			}
		}, "merge"},
		{"calls of different kinds", func(s *site) {
			for _, path := range []string{"/api/a", "/api/b", "/api/c", "/api/a", "/api/b", "/api/c"} {
				s.c.Exchange(loaded(s, 1, path, "application/json", 500, keep))
			}
		}, ""},
		{"a connection for each request", func(s *site) { opened(s, 10, 1, transaction.Connection{}) }, "reuse"},
		{"connections that are kept", func(s *site) { opened(s, 2, 10, transaction.Connection{}) }, ""},
		{"full handshakes again and again", func(s *site) {
			opened(s, 10, 3, transaction.Connection{TLS: true, Full: true, Version: "1.3", Handshake: 40e6})
		}, "resumption"},
		{"continued sessions", func(s *site) {
			opened(s, 10, 3, transaction.Connection{TLS: true, Resumed: true, Version: "1.3", Handshake: 40e6})
		}, ""},
		{"HTTP/2 that is not given", func(s *site) {
			opened(s, 10, 3, transaction.Connection{TLS: true, Resumed: true, Version: "1.3", Offered: "h2,http/1.1", Chosen: "http/1.1", Handshake: 40e6})
		}, "http2"},
		{"slow look-ups", func(s *site) { looked(s, 150e6) }, "names"},
		{"quick ones", func(s *site) { looked(s, 5e6) }, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, nil)
			test.do(s)
			var got []string
			for _, a := range s.result().Advice {
				got = append(got, a.ID)
				if len(a.Frames) == 0 || a.Bytes == 0 && a.Millis == 0 || a.Why == "" || a.Gain == "" {
					t.Errorf("%+v", a)
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("advice %v, want %q", got, test.want)
			}
		})
	}
}

// opened has a visitor open so many connections, with so many requests in each.
func opened(s *site, connections, requests int, n transaction.Connection) {
	for range connections {
		var x *transaction.Exchange
		number := s.conn + 1000
		for i := range requests {
			x = s.exchange(1, shop, "shop.example", "GET", "/", 20)
			x.Connection, x.First = number, i == 0
			s.c.Exchange(x)
		}
		n.Client, n.Server, n.Number, n.Host, n.Exchanges = x.Client, x.Server, number, "shop.example", requests
		n.Start, n.End, n.Connect, n.Frame, n.Hello = x.Start, x.End, 20e6, s.frame, s.frame
		c := n
		s.c.Connection(&c)
	}
}

func looked(s *site, took int64) {
	for i := range 5 {
		s.frame += 2
		s.c.Lookup(&transaction.Lookup{
			Client: netip.AddrPortFrom(person(1), 5353), Server: netip.MustParseAddrPort("192.0.2.53:53"),
			Name: fmt.Sprintf("n%d.example", i), Type: 1, Start: s.now, Took: took, Answered: true,
			Addresses: []netip.Addr{shop.Addr()}, Frame: s.frame, AnswerFrame: s.frame + 1,
		})
	}
}

// TestBounds has more of everything than a collector may remember.
func TestBounds(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Resources, c.Visitors, c.Failures = 10, 20, 30 })
	for i := range 1000 {
		x := s.exchange(i%250, shop, "shop.example", "GET", fmt.Sprintf("/cart/%c%d", 'a'+i%26, i), 5)
		x.Request = transaction.Headers{{Name: "cookie", Value: fmt.Sprintf("session=%d", i)}}
		x.Status = 500
		s.c.Exchange(x)
	}
	if s.c.resources.Len() != 10 || s.c.visitors.Len() != 20 || len(s.c.failures.ring) != 30 {
		t.Errorf("%d addresses, %d visitors, %d failures", s.c.resources.Len(), s.c.visitors.Len(), len(s.c.failures.ring))
	}
	r := s.result()
	if r.Funnel.Visitors != 1000 || r.Requests != 1000 || r.Forgotten == 0 {
		t.Errorf("%d visitors, %d requests, %d forgotten", r.Funnel.Visitors, r.Requests, r.Forgotten)
	}
}

// TestSlow finds what people wait for, and not what only lasts.
func TestSlow(t *testing.T) {
	for _, test := range []struct {
		kind string
		size int64
		wait int64 // ms
		slow bool
	}{
		{"application/json", 500, 2000, true},
		{"text/html", 500, 50, true},
		{"text/event-stream", 500, 50, false},
		{"text/event-stream", 500, 2000, true},
		{"application/zip", 900_000_000, 50, false},
		{"video/mp4", 900_000, 50, false},
	} {
		s := newSite(t, nil)
		for range 3 {
			x := s.exchange(1, shop, "shop.example", "GET", "/x", 9000)
			x.FirstByte, x.ResponseBytes = x.Start+test.wait*1e6, test.size
			x.Response = transaction.Headers{{Name: "content-type", Value: test.kind}}
			s.c.Exchange(x)
		}
		if got := len(s.result().Slow) > 0; got != test.slow {
			t.Errorf("%+v: slow is %v", test, got)
		}
	}
}

func TestConfig(t *testing.T) {
	for field, change := range map[string]func(*Config){
		"slow":        func(c *Config) { c.Slow = 0 },
		"lost_share":  func(c *Config) { c.LostShare = math.NaN() },
		"calls":       func(c *Config) { c.Calls = 1 },
		"visitors":    func(c *Config) { c.Visitors = 0 },
		"cookies":     func(c *Config) { c.Cookies = []string{"("} },
		"stages.cart": func(c *Config) { c.Stages.Cart = []string{"["} },
	} {
		cfg := Default()
		change(&cfg)
		if bad := cfg.Validate(); bad == nil || bad.Field != field {
			t.Errorf("%s: %v", field, bad)
		}
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: a collector of it", field)
		}
	}
	cfg := Default()
	if bad := cfg.Validate(); bad != nil {
		t.Error(bad)
	}
}
