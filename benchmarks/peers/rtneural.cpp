// M1, M2 and M3 of the benchmarks on RTNeural's ModelT, float32, for `python -m benchmarks.peers --rtneural FOLDER`.
//
// Models are types here, so that these three are all there is. RTNeural runs one sequence at a time and knows no repeated
// latent vector: its decoder is fed the same one at every step. It hands no cell state over either, which M2 needs; that is
// copied between its private members, for which this is compiled with -fno-access-control, and for xsimd alone.

#include <RTNeural/RTNeural.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

namespace {

using RTNeural::DenseT;
using RTNeural::LSTMLayerT;
using RTNeural::ModelT;

constexpr int kMaxWidth = 64;

// Tensors in the order of the layer plan: of an lstm its input and hidden weights and biases, of a linear layer weight and bias.
class Tensors {
 public:
  explicit Tensors(const float* const* next) : next_(next) {}

  template <class Layer>
  void fill_lstm(Layer& layer) {
    constexpr int n_gates = 4 * Layer::out_size;
    layer.setWVals(transposed(take(), n_gates, Layer::in_size));
    layer.setUVals(transposed(take(), n_gates, Layer::out_size));
    const float* input = take();
    const float* hidden = take();
    std::vector<float> bias(n_gates);
    std::transform(input, input + n_gates, hidden, bias.begin(), [](float a, float b) { return a + b; });
    layer.setBVals(bias);
  }

  template <class Layer>
  void fill_dense(Layer& layer) {
    const float* weight = take();
    std::vector<std::vector<float>> rows;
    for (int row = 0; row < Layer::out_size; ++row) {
      rows.emplace_back(weight + row * Layer::in_size, weight + (row + 1) * Layer::in_size);
    }
    layer.setWeights(rows);
    layer.setBias(take());
  }

 private:
  const float* take() { return *next_++; }

  static std::vector<std::vector<float>> transposed(const float* matrix, int n_rows, int n_columns) {
    std::vector<std::vector<float>> columns(n_columns, std::vector<float>(n_rows));
    for (int row = 0; row < n_rows; ++row) {
      for (int column = 0; column < n_columns; ++column) columns[column][row] = matrix[row * n_columns + column];
    }
    return columns;
  }

  const float* const* next_;
};

class Scorer {
 public:
  virtual ~Scorer() = default;
  virtual int window_size() const = 0;
  virtual float score(const float* window) = 0;
};

// An encoder whose last output is repeated: M1 and M3.
template <class Encoder, class Decoder, int n_steps>
class Repeating : public Scorer {
 public:
  int window_size() const override { return n_steps; }

 protected:
  template <class Error>
  float sum(const float* window, Error error) {
    encoder_.reset();
    for (int step = 0; step < n_steps; ++step) encoder_.forward(window + step);
    alignas(64) float latent[kMaxWidth];
    std::copy_n(encoder_.getOutputs(), Encoder::output_size, latent);
    decoder_.reset();
    float total = 0;
    for (int step = 0; step < n_steps; ++step) total += error(decoder_.forward(latent) - window[step]);
    return total;
  }

  Encoder encoder_;
  Decoder decoder_;
};

class M1 : public Repeating<ModelT<float, 1, 32, LSTMLayerT<float, 1, 32>>,
                            ModelT<float, 32, 1, LSTMLayerT<float, 32, 32>, DenseT<float, 32, 1>>, 50> {
 public:
  explicit M1(Tensors tensors) {
    tensors.fill_lstm(encoder_.get<0>());
    tensors.fill_lstm(decoder_.get<0>());
    tensors.fill_dense(decoder_.get<1>());
  }
  float score(const float* window) override {
    return sum(window, [](float difference) { return difference * difference; }) / 50;
  }
};

class M3 : public Repeating<
               ModelT<float, 1, 32, LSTMLayerT<float, 1, 64>, LSTMLayerT<float, 64, 32>>,
               ModelT<float, 32, 1, LSTMLayerT<float, 32, 32>, LSTMLayerT<float, 32, 64>, DenseT<float, 64, 1>>, 140> {
 public:
  explicit M3(Tensors tensors) {
    tensors.fill_lstm(encoder_.get<0>());
    tensors.fill_lstm(encoder_.get<1>());
    tensors.fill_lstm(decoder_.get<0>());
    tensors.fill_lstm(decoder_.get<1>());
    tensors.fill_dense(decoder_.get<2>());
  }
  float score(const float* window) override {
    return sum(window, [](float difference) { return std::abs(difference); });
  }
};

#if RTNEURAL_USE_XSIMD
class M2 : public Scorer {
 public:
  explicit M2(Tensors tensors) {
    tensors.fill_lstm(encoder_.get<0>());
    tensors.fill_lstm(encoder_.get<1>());
    tensors.fill_lstm(decoder_.get<0>());
    tensors.fill_lstm(decoder_.get<1>());
    tensors.fill_dense(decoder_.get<2>());
  }
  int window_size() const override { return kSteps * kFeatures; }
  float score(const float* window) override {
    alignas(64) float input[kMaxWidth] = {};
    encoder_.reset();
    for (int step = 0; step < kSteps; ++step) {
      std::copy_n(window + step * kFeatures, kFeatures, input);
      encoder_.forward(input);
    }
    hand_over(encoder_.get<0>(), decoder_.get<0>());
    hand_over(encoder_.get<1>(), decoder_.get<1>());
    std::fill_n(input, kFeatures, 0.0F);
    float total = 0;
    for (int step = 0; step < kSteps; ++step) {
      decoder_.forward(input);
      for (int feature = 0; feature < kFeatures; ++feature) {
        const float difference = decoder_.getOutputs()[feature] - window[step * kFeatures + feature];
        total += difference * difference;
      }
    }
    return total / (kSteps * kFeatures);
  }

 private:
  static constexpr int kSteps = 60;
  static constexpr int kFeatures = 2;

  template <class From, class To>
  static void hand_over(const From& from, To& to) {
    std::copy(std::begin(from.outs), std::end(from.outs), std::begin(to.outs));
    std::copy(std::begin(from.ct), std::end(from.ct), std::begin(to.ct));
  }

  ModelT<float, 2, 32, LSTMLayerT<float, 2, 32>, LSTMLayerT<float, 32, 32>> encoder_;
  ModelT<float, 2, 2, LSTMLayerT<float, 2, 32>, LSTMLayerT<float, 32, 32>, DenseT<float, 32, 2>> decoder_;
};
#endif

}  // namespace

extern "C" {

// The scorer of model 1, 2 or 3; null where there is none.
Scorer* scorer_create(int model, const float* const* tensors) {
  if (model == 1) return new M1(Tensors(tensors));
#if RTNEURAL_USE_XSIMD
  if (model == 2) return new M2(Tensors(tensors));
#endif
  if (model == 3) return new M3(Tensors(tensors));
  return nullptr;
}

void scorer_score(Scorer* scorer, const float* windows, int n_windows, float* errors) {
  for (int i = 0; i < n_windows; ++i) errors[i] = scorer->score(windows + i * scorer->window_size());
}

void scorer_destroy(Scorer* scorer) { delete scorer; }
}
