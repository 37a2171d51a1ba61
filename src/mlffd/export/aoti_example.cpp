// Energy and forces of water. Build, and run where the package is:
//   torch=$$(python -c 'import torch; print(torch.__path__[0])')
//   g++ -std=c++20 example.cpp -o example -I$$torch/include -I$$torch/include/torch/csrc/api/include
//     -L$$torch/lib -Wl,-rpath,$$torch/lib -ltorch_cpu -lc10
#include <iomanip>
#include <iostream>

#include <ATen/ATen.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

int main() {
  torch::inductor::AOTIModelPackageLoader student($file_name);
  auto numbers = at::tensor({8, 1, 1}, at::kLong);
  auto positions = at::tensor({0.0, 0.0, 0.12, 0.0, 0.76, -0.48, 0.0, -0.76, -0.48}, at::kDouble)
                       .view({-1, 3}).to($dtype);  // Å
  auto squared = (positions.unsqueeze(1) - positions).square().sum(2);
  auto near = (squared < $cutoff * $cutoff).fill_diagonal_(false).nonzero();  // every ordered pair
  // Compiled code takes every input for contiguous and does not look: another is read as nonsense.
  auto edge_index = near.flip(1).t().contiguous();
  auto shifts = at::zeros({near.size(0), 3}, positions.options());
  auto structure_index = at::zeros_like(numbers);
  auto atom_counts = at::tensor({numbers.size(0)}, at::kLong);
  auto outputs =
      student.run({numbers, positions, edge_index, shifts, structure_index, atom_counts});
  std::cout << std::setprecision(12) << "energy in eV: " << outputs[0].item<double>()
            << "\nforces in eV/Å:\n" << outputs[1] << '\n';
}
