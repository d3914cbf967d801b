package web

import (
	"fmt"
	"regexp"
	"time"
)

// Config says what counts as slow, heavy or failed, how visitors are told apart,
// and which addresses belong to which stage of buying something. Start from
// [Default].
type Config struct {
	// Slow is the time from the first byte of a request to the last of its
	// answer from which an answer is slow: people feel that they wait from
	// about half a second on.
	Slow time.Duration `yaml:"slow"`
	// Patience is how long people wait before they leave; an answer that takes
	// longer may be the cause that somebody left.
	Patience time.Duration `yaml:"patience"`
	// Idle is how long a visitor must have been silent before the end of the
	// capture to count as gone.
	Idle time.Duration `yaml:"idle"`
	// Image is the size from which a picture is heavy, Text the size from which
	// text is worth compressing, in bytes.
	Image int `yaml:"image"`
	Text  int `yaml:"text"`
	// Calls is how many calls of the same kind in a row could be one.
	Calls int `yaml:"calls"`
	// Lost is the least number of visitors, LostShare the least share of those
	// who came to a stage, that must have left after a failure for it to be
	// called the drop point.
	Lost      int     `yaml:"lost"`
	LostShare float64 `yaml:"lost_share"`
	// Resources, Visitors and Failures bound what is remembered: addresses,
	// visitors at a time, and failures (and as many clients whose connections
	// and look-ups failed).
	Resources int `yaml:"resources"`
	Visitors  int `yaml:"visitors"`
	Failures  int `yaml:"failures"`
	// Cookies are patterns of the names of cookies that tell visitors apart.
	Cookies []string `yaml:"cookies"`
	Stages  Stages   `yaml:"stages"`
}

// Stages are the stages of buying something, in order, each with patterns of
// addresses; one without any does not count. A request counts to the last stage
// that a pattern matches; they are matched against path and query, in lower
// case. Pictures, scripts and styles never count.
type Stages struct {
	Product      []string `yaml:"product"`
	Cart         []string `yaml:"cart"`
	Checkout     []string `yaml:"checkout"`
	Payment      []string `yaml:"payment"`
	Confirmation []string `yaml:"confirmation"`
}

// numStages is how many stages there are.
const numStages = 5

// stageNames are their names, as in the configuration file.
var stageNames = [numStages]string{"product", "cart", "checkout", "payment", "confirmation"}

// list returns the patterns in the order of stageNames.
func (s *Stages) list() [numStages][]string {
	return [numStages][]string{s.Product, s.Cart, s.Checkout, s.Payment, s.Confirmation}
}

// Default returns a Config that suits common shops (WooCommerce, Magento,
// Shopify, PrestaShop, Shopware and the like, in English and German).
func Default() Config {
	return Config{
		Slow:      500 * time.Millisecond,
		Patience:  3 * time.Second,
		Idle:      10 * time.Second,
		Image:     100_000,
		Text:      2_000,
		Calls:     3,
		Lost:      3,
		LostShare: 0.05,
		Cookies: []string{
			`^(php|j|asp\.net_|asp|cf)?_?sess(ion)?_?(id)?`, `^sid$`, `^connect\.sid$`, `^frontend$`, `^cart(_sig)?$`,
			`^wp_woocommerce_session_`, `^prestashop-`, `_session(_id)?$`, `^_shopify_y$`, `^basket`,
		},
		Stages: Stages{
			Product:  []string{`/(products?|item|dp|p|detail|produkte?|artikel)/`, `[?&](product|product_id|id_product)=`},
			Cart:     []string{`/(shopping-?)?(cart|basket|bag|warenkorb)([/?.]|$)`, `/cart/add`, `wc-ajax=add_to_cart`},
			Checkout: []string{`/(checkout|kasse|onestepcheckout|onepage)([/?.]|$)`, `/order/(address|shipping)`},
			Payment:  []string{`/(payments?|pay|bezahlen)([/?.]|$)`, `payment-information`, `wc-ajax=checkout`, `/charges?([/?]|$)`},
			Confirmation: []string{`/(order-received|thank[-_]?you|thanks|danke|success|order-complete)([/?.]|$)`,
				`/(order|checkout|bestellung)[/-](confirm(ation|ed)?|complete|finish)`},
		},
		Resources: 2048,
		Visitors:  16384,
		Failures:  4096,
	}
}

// Invalid is a field of a [Config] that makes no sense.
type Invalid struct {
	Field   string // as it is spelled in the configuration file
	Problem string
}

func (e *Invalid) Error() string { return "web: " + e.Field + ": " + e.Problem }

// mostBytes bounds sizes, mostTime durations.
const (
	mostBytes = 1 << 40
	mostTime  = 24 * time.Hour
)

// Validate returns the first field that makes no sense, or nil.
func (c *Config) Validate() *Invalid {
	_, bad := c.compile()
	return bad
}

// patterns are the compiled patterns of a Config.
type patterns struct {
	cookies []*regexp.Regexp
	stages  [numStages][]*regexp.Regexp
}

func (c *Config) compile() (*patterns, *Invalid) {
	for _, f := range []struct {
		name               string
		value, least, most float64
	}{
		{"slow", c.Slow.Seconds(), 0.000001, mostTime.Seconds()},
		{"patience", c.Patience.Seconds(), 0.000001, mostTime.Seconds()},
		{"idle", c.Idle.Seconds(), 0, mostTime.Seconds()},
		{"image", float64(c.Image), 1, mostBytes},
		{"text", float64(c.Text), 1, mostBytes},
		{"calls", float64(c.Calls), 2, 1 << 20},
		{"lost", float64(c.Lost), 1, 1 << 20},
		{"lost_share", c.LostShare, 0, 1},
		{"resources", float64(c.Resources), 1, 1 << 20},
		{"visitors", float64(c.Visitors), 1, 1 << 20},
		{"failures", float64(c.Failures), 1, 1 << 20},
	} {
		if !(f.value >= f.least && f.value <= f.most) {
			return nil, &Invalid{f.name, fmt.Sprintf("%v is not between %v and %v", f.value, f.least, f.most)}
		}
	}
	p := &patterns{}
	var bad *Invalid
	if p.cookies, bad = compile("cookies", "(?i)", c.Cookies); bad != nil {
		return nil, bad
	}
	for i, texts := range c.Stages.list() {
		if p.stages[i], bad = compile("stages."+stageNames[i], "", texts); bad != nil {
			return nil, bad
		}
	}
	return p, nil
}

func compile(field, flags string, texts []string) ([]*regexp.Regexp, *Invalid) {
	var list []*regexp.Regexp
	for _, text := range texts {
		re, err := regexp.Compile(flags + text)
		if err != nil {
			return nil, &Invalid{field, err.Error()}
		}
		list = append(list, re)
	}
	return list, nil
}
