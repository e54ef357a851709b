/* The theme that was chosen, before anything is drawn; without a choice the device's own holds. */

{
  const chosen = (() => {
    try {
      return localStorage.getItem('roost.theme')
    } catch {
      return null
    }
  })()
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen
}
