# Homebrew formula, filled in by packaging/make.sh. It has passed Ruby's syntax check
# only: nobody has run it on a Mac yet, nor Ampulla itself.
class Ampulla < Formula
  desc "Verdicts on every packet, inside Wireshark"
  homepage "@HOMEPAGE@"
  url "@HOMEPAGE@/ampulla-@VERSION@.tar.gz"
  version "@VERSION@"
  sha256 "@SHA256@"
  license "Apache-2.0"

  depends_on "go" => :build
  depends_on "onnxruntime"
  depends_on "wireshark"

  def install
    ldflags = "-s -w -X main.version=#{version}"
    ENV["CGO_ENABLED"] = "1"
    system "go", "build", *std_go_args(ldflags: ldflags, output: bin/"ampulla"), "./annotator"
    # Lua's functions are in the Wireshark that loads the module.
    ENV["CGO_LDFLAGS_ALLOW"] = "-Wl,-undefined,dynamic_lookup"
    ENV["CGO_LDFLAGS"] = "-Wl,-undefined,dynamic_lookup" if OS.mac?
    system "go", "build", "-trimpath", "-buildmode=c-shared", "-ldflags", ldflags,
           "-o", lib/"ampulla/ampulla-native.so", "./lua/native"
    ENV["CGO_ENABLED"] = "0"
    ENV.delete("CGO_LDFLAGS")
    system "go", "build", *std_go_args(ldflags: ldflags, output: lib/"ampulla/ampulla-extcap"), "./extcap"
    pkgshare.install "testdata/captures/demo.pcapng"
    doc.install "lua/README.md" => "RECEIVED.md"
  end

  def caveats
    <<~TEXT
      To put the plugin into Wireshark, now and after updates of it:
        ampulla plugin install
      ONNX Runtime is taken from Homebrew; its reports to its makers are turned off.
    TEXT
  end

  test do
    system bin/"ampulla", "annotate", pkgshare/"demo.pcapng", testpath/"out.pcapng"
  end
end
